"""A small valid study, as data to change and as files to read; and a browser."""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
import pytest
import tomlkit

from metacart import cli

ARM: dict[str, Any] = {
    "id": "car",
    "disease": "B-ALL",
    "infusion": "first",
    "scfv": "murine",
    "targets": ["CD19"],
    "patients": {"enrolled": 21, "infused": 20, "evaluable": 19, "responders": 13},
}
FINDING: dict[str, Any] = {
    "arm": "car",
    "outcome": "complete_remission",
    "population": "infused",
    "at": "Table 2",
}
COUNT: dict[str, Any] = {"count": {"events": 13, "total": 20}}
# Begun first, the longest, lest one worker ends with them alone. The second fits nothing: kernels
# are compiled by the first meanwhile, and the others find them on disk.
FIRST = (
    "notebooks",
    "gates",
    "report",
    "cli",
    "grades",
    "outcomes",
    "systems",
    "exact",
    "moderators",
    "calibration",
    "calibration_nuts",
    "plots",
    "keeping",
    "report_kept",
    "grades_page",
    "forest",
    "beta_binomial",
    "compiled",
    "regression",
    "packaging",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; workers take them one after the other."""
    place = {f"test_{name}": number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let commands keep fits where no other test finds them, not in the user's own folder."""
    folder = tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex}"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: folder)
    return folder


@pytest.fixture
def study_data() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the data of a study from what differs from a valid one."""

    def make(
        *findings: Mapping[str, Any],
        arms: tuple[Mapping[str, Any], ...] = ({},),
        citation: Mapping[str, Any] | None = None,
        conduct: Mapping[str, Any] | None = None,
        **top: Any,
    ) -> dict[str, Any]:
        name = top.get("id", "doe2020")
        return copy.deepcopy(
            {
                "schema": 1,
                "id": name,
                "citation": {
                    "title": "A study",
                    "authors": ["Doe J"],
                    "year": 2020,
                    "doi": f"10.1000/{name}",
                    **(citation or {}),
                },
                "conduct": {"study_design": "single-arm phase 1", **(conduct or {})},
                "arms": [ARM | dict(arm) for arm in arms],
                "findings": [FINDING | dict(finding) for finding in findings or (COUNT,)],
                **top,
            }
        )

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file of a study, from its data or as text or bytes."""

    def write_file(content: Mapping[str, Any] | str | bytes, name: str | None = None) -> Path:
        if isinstance(content, Mapping):
            name = name or f"{content['id']}.toml"
            content = tomlkit.dumps(content)
        path = tmp_path / (name or "doe2020.toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


class Run(NamedTuple):
    """What one command said and returned."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Return a function that runs a command of the shell in this process."""

    def run_command(*arguments: str | Path) -> Run:
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        return Run(status, *capsys.readouterr())

    return run_command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one, and return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Browser:
    """Chromium without a window, spoken to by its DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.sent = socket, 0
        # what the browser reported: errors of scripts, blocked resources, console messages
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message.get("id") == self.sent:
                assert "error" not in message, message
                return dict(message["result"])
            if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(json.dumps(message["params"]))
            elif message["method"] == "Runtime.consoleAPICalled":
                self.errors.append(json.dumps(message["params"]["args"]))

    def run(self, script: str) -> Any:
        """Return the value of an expression of the page."""
        given = {"expression": script, "returnByValue": True, "awaitPromise": True}
        result = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, page: Path, *, width: int, scheme: str = "light", media: str = "") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url=page.as_uri())
        until = time.monotonic() + 60
        while self.run("document.readyState + location.href") != f"complete{page.as_uri()}":
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.05)

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; where there is none the test is skipped, but not where all tests must run."""
    from websockets.sync.client import connect

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        assert not os.environ.get("CI"), "chromium is not installed"
        pytest.skip("chromium is not installed: the page is not seen in a browser")
    profile = tmp_path_factory.mktemp("profile")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    command = [found, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, "about:blank"], stdout=quiet, stderr=quiet) as process:
        try:
            port = profile / "DevToolsActivePort"
            until = time.monotonic() + 60
            while not port.is_file() or len(port.read_text().split()) < 2:
                assert time.monotonic() < until, "chromium does not start"
                time.sleep(0.05)
            number = port.read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{number}/json") as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            with connect(pages[0]["webSocketDebuggerUrl"], max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
