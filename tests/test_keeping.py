"""Fits that are kept: when one is used again, when not, and what a folder survives."""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.inference import engines, keeping, keys, refits
from metacart.inference import fit as fitting
from metacart.inference.keys import is_shipped, key_of
from metacart.inference.refits import Refit, Run, Variant, refit_all
from metacart.inference.values import UnknownValueError, packed, told, unpacked

TABLE = pd.DataFrame({"study": list("abcd"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})
SPEC = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfNormal(1)"})
SIZE: dict[str, Any] = {"method": "exact", "draws": 100, "chains": 2, "progress": False}


@pytest.fixture(scope="module")
def one() -> xr.DataTree:
    return mc.fit(SPEC, TABLE, seed=3, **SIZE)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count what the engines draw."""
    drawn: list[str] = []
    own = engines.Engines.draw

    def counted(self: Any, *given: Any, **options: Any) -> Any:
        drawn.append(str(options["method"]))
        return own(self, *given, **options)

    monkeypatch.setattr(engines.Engines, "draw", counted)
    return drawn


def same(one: xr.DataTree, other: xr.DataTree) -> bool:
    return one.attrs == other.attrs and one.identical(other)


# --- what is used again --------------------------------------------------------------------------


def test_the_same_fit_is_made_once_and_is_the_same(tmp_path: Path, made: list[str]) -> None:
    first = mc.fit(SPEC, TABLE, seed=3, cache=tmp_path / "kept", **SIZE)
    again = mc.fit(SPEC, TABLE, seed=3, cache=tmp_path / "kept", **SIZE)
    assert len(made) == 1
    assert same(first, again)
    assert "kept_under" not in again.attrs
    # a library that is not asked keeps nothing and takes nothing
    mc.fit(SPEC, TABLE, seed=3, **SIZE)
    assert len(made) == 2


CHANGES: dict[str, Callable[[], tuple[Any, Any, dict[str, Any]]]] = {
    "a number of a study": lambda: (SPEC, TABLE.assign(events=[9, 5, 13, 3]), {}),
    "the name of a study": lambda: (SPEC, TABLE.assign(study=list("abce")), {}),
    "a study less": lambda: (SPEC, TABLE.iloc[:3], {}),
    "another order": lambda: (SPEC, TABLE.iloc[::-1], {}),
    "the prior": lambda: (
        SPEC.model_copy(update={"priors": {"tau": "HalfNormal(0.5)"}}),
        TABLE,
        {},
    ),
    "the title": lambda: (SPEC.model_copy(update={"title": "Another"}), TABLE, {}),
    "the seed": lambda: (SPEC, TABLE, {"seed": 4}),
    "no seed": lambda: (SPEC, TABLE, {"seed": None}),
    "the draws": lambda: (SPEC, TABLE, {"draws": 101}),
    "the chains": lambda: (SPEC, TABLE, {"chains": 3}),
    "the tuning": lambda: (SPEC, TABLE, {"tune": 900}),
    "the method": lambda: (SPEC, TABLE, {"method": "auto"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_a_fit_makes_another(change: str) -> None:
    asked: list[str | None] = []
    spec, table, options = CHANGES[change]()
    for each, evidence, more in ((SPEC, TABLE, {}), (spec, table, options)):
        run = {"method": "exact", "draws": 100, "chains": 2, "tune": 1000, "seed": 3} | more
        asked.append(key_of(each, evidence, run=run, likelihoods=None))
    assert None not in asked
    assert asked[0] != asked[1]


def test_every_option_of_a_fit_reaches_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def noted(*_given: Any, run: dict[str, Any], **_options: Any) -> None:
        seen.append(run)

    monkeypatch.setattr(fitting, "key_of", noted)
    mc.fit(SPEC, TABLE, seed=3, cache=tmp_path, **SIZE)
    expected = {"method": "exact", "draws": 100, "chains": 2, "tune": 1000, "seed": 3}
    assert seen == [expected]
    mc.fit(SPEC, TABLE, cache=tmp_path, **SIZE)
    assert seen[1] == expected | {"seed": None}


def test_another_version_fits_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    own = keys._versions()
    assert {"metacart", "numpy", "scipy", "pymc", "nutpie"} <= json.loads(own["packages"]).keys()
    found = {key_of(SPEC, TABLE, run={}, likelihoods=None)}
    for name in own:
        monkeypatch.setattr(keys, "_versions", lambda name=name: own | {name: "0"})
        found.add(key_of(SPEC, TABLE, run={}, likelihoods=None))
    assert len(found) == 1 + len(own)


def test_metacart_is_known_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in keys._ROOMS:
        path = tmp_path / "metacart" / (name if name.endswith(".py") else f"{name}/rule.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("limit = 1")
    monkeypatch.setattr(keys, "__file__", str(tmp_path / "metacart" / "inference" / "keys.py"))
    found = set()
    for limit in (1, 2):
        (tmp_path / "metacart" / "results" / "rule.py").write_text(f"limit = {limit}")
        found.add(keys._versions.__wrapped__()["code"])
    assert len(found) == 2


def test_a_kept_fit_is_written_as_a_copy(tmp_path: Path, one: xr.DataTree) -> None:
    cache = mc.Cache(tmp_path / "kept")
    made = mc.fit(SPEC, TABLE, seed=3, cache=cache, **SIZE)
    kept = mc.fit(SPEC, TABLE, seed=3, cache=cache, **SIZE)
    (source,) = cache.files()
    for fit in (made, kept):
        keeping.write_fit(fit, tmp_path / "fit.nc")
        assert (tmp_path / "fit.nc").read_bytes() == source.read_bytes()
        assert same(mc.load_fit(tmp_path / "fit.nc"), one)
    cache.clear()  # and where the file has gone, or there never was one, it is written
    for fit in (kept, one):
        (tmp_path / "fit.nc").unlink()
        keeping.write_fit(fit, tmp_path / "fit.nc")
        assert same(mc.load_fit(tmp_path / "fit.nc"), one)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]


def test_without_a_seed_the_kept_fit_answers(tmp_path: Path, made: list[str]) -> None:
    first = mc.fit(SPEC, TABLE, cache=tmp_path, **SIZE)
    assert mc.fit(SPEC, TABLE, cache=tmp_path, **SIZE).attrs["seed"] == first.attrs["seed"]
    assert len(made) == 1


def test_a_system_is_kept_too(tmp_path: Path, made: list[str]) -> None:
    table = pd.DataFrame(
        {"study": list("abab"), "stage": ["cr", "cr", "hsct", "hsct"]}
        | {"events": [9, 7, 4, 3], "total": [12, 10, 9, 7]}
    )
    spec = mc.ModelSpec(likelihood="chain", outcomes=["cr", "hsct"])
    first = mc.fit(spec, table, seed=3, cache=tmp_path, **SIZE)
    drawn = len(made)
    assert same(first, mc.fit(spec, table, seed=3, cache=tmp_path, **SIZE))
    assert len(made) == drawn


def test_a_likelihood_of_ones_own_is_never_kept(tmp_path: Path, made: list[str]) -> None:
    own = {**mc.LIKELIHOODS, "mine": mc.LIKELIHOODS["binomial"]}
    assert is_shipped(SPEC, own)  # the shipped one of them is
    mine = SPEC.model_copy(update={"likelihood": "mine", "priors": {"mu": "Normal(0, 1.5)"}})
    assert not is_shipped(mine, own)
    assert not is_shipped(SPEC, {**mc.LIKELIHOODS, "binomial": mc.LIKELIHOODS["normal"]})
    for _ in range(2):
        mc.fit(mine, TABLE, seed=3, likelihoods=own, cache=tmp_path, **SIZE)
    assert len(made) == 2
    assert mc.Cache(tmp_path).files() == []


# --- the folder ----------------------------------------------------------------------------------


def test_fresh_replaces_what_is_kept(tmp_path: Path, made: list[str]) -> None:
    cache = mc.Cache(tmp_path)
    mc.fit(SPEC, TABLE, seed=3, cache=cache, **SIZE)
    (path,) = cache.files()
    os.utime(path, (1, 1))
    mc.fit(SPEC, TABLE, seed=3, cache=mc.Cache(tmp_path, fresh=True), **SIZE)
    assert len(made) == 2
    assert path.stat().st_mtime > 1
    mc.fit(SPEC, TABLE, seed=3, cache=cache, **SIZE)
    assert len(made) == 2
    assert (len(cache.used), len(cache.made)) == (1, 1)


DAMAGE: dict[str, Callable[[Path, xr.DataTree], object]] = {
    "empty": lambda path, _: path.write_bytes(b""),
    "half": lambda path, _: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "overwritten": lambda path, _: path.write_bytes(
        path.read_bytes()[:5000] + b"x" * 9000 + path.read_bytes()[14000:]
    ),
    "text": lambda path, _: path.write_text("not a fit"),
    "a fit that nobody kept": lambda path, fit: mc.save_fit(fit, path),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_or_foreign_file_is_a_miss_with_one_line(
    tmp_path: Path, how: str, one: xr.DataTree, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    cache = mc.Cache(tmp_path, say=said.append)
    cache.keep_fit("key", one)
    (path,) = cache.files()
    DAMAGE[how](path, one)
    assert cache.find_fit("key") is None
    assert said == [f"{path}: damaged, or no kept fit: fitting anew"]
    with caplog.at_level(logging.INFO, logger="metacart"):
        assert mc.Cache(tmp_path).find_fit("key") is None
    assert [each.getMessage() for each in caplog.records] == said
    assert (len(cache.used), len(cache.made)) == (0, 1)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"key": "key", "value": {"!": "array"}}'])
def test_a_damaged_value_is_a_miss_too(tmp_path: Path, text: str) -> None:
    said: list[str] = []
    cache = mc.Cache(tmp_path, say=said.append)
    cache.keep_value("key", [1])
    (path,) = cache.files()
    path.write_text(text)
    assert cache.find_value("key") is None
    assert said == [f"{path}: damaged, or no kept fit: fitting anew"]


def test_what_was_damaged_is_fitted_anew_and_whole(tmp_path: Path, made: list[str]) -> None:
    first = mc.fit(SPEC, TABLE, seed=3, cache=tmp_path, **SIZE)
    (path,) = mc.Cache(tmp_path).files()
    path.write_bytes(path.read_bytes()[:9000])
    for _ in range(2):
        assert same(first, mc.fit(SPEC, TABLE, seed=3, cache=mc.Cache(tmp_path, say=print), **SIZE))
    assert len(made) == 2


def test_the_fit_of_another_key_is_not_taken(tmp_path: Path, one: xr.DataTree) -> None:
    cache = mc.Cache(tmp_path, say=print)
    cache.keep_fit("key", one)
    (path,) = cache.files()
    path.rename(path.with_name("fit-other.nc"))
    assert cache.find_fit("other") is None


def test_writers_do_not_disturb_each_other(tmp_path: Path, one: xr.DataTree) -> None:
    caches = [mc.Cache(tmp_path, say=print) for _ in range(3)]

    def work(cache: mc.Cache) -> list[bool]:
        found = []
        for _ in range(2):
            cache.keep_fit("k", one)
            cache.keep_value("k", [1.0, "x"])
            fit, value = cache.find_fit("k"), cache.find_value("k")
            found.append(fit is not None and same(fit, one))
            found.append(value == [1.0, "x"])
        return found

    with ThreadPoolExecutor(3) as executor:
        assert all(all(each) for each in executor.map(work, caches))
    assert len(list(tmp_path.iterdir())) == 2  # nothing half-written is left


def test_what_cannot_be_written_is_said_and_the_fit_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    said: list[str] = []
    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    fit = mc.fit(SPEC, TABLE, seed=3, cache=mc.Cache(tmp_path, say=said.append), **SIZE)
    assert fit.attrs["seed"] == 3
    (line,) = said
    assert line.startswith("not kept: ")
    assert "No space left on device" in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_one_is_refused_before_anything_is_fitted(
    tmp_path: Path, made: list[str]
) -> None:
    path = tmp_path / "taken"
    path.write_text("")
    with pytest.raises(mc.InputError) as refusal:
        mc.fit(SPEC, TABLE, cache=path / "deep", draws=0)
    assert [str(fault) for fault in refusal.value.faults][1:] == [
        f"cache: '{path}' is a file; allowed: a folder, new or existing"
    ]
    with pytest.raises(mc.InputError, match="cache: a int; allowed: a folder as text or as a Path"):
        mc.fit(SPEC, TABLE, cache=3)
    assert made == []


def test_a_cache_tells_its_size_and_empties_nothing_else(tmp_path: Path) -> None:
    cache = mc.Cache(tmp_path)
    assert (cache.size(), cache.clear()) == (0, 0)
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "notes.txt").write_text("mine")
    mc.fit(SPEC, TABLE, seed=3, cache=cache, **SIZE)
    cache.keep_value("k", 1)
    (tmp_path / ".fit-k.nc.1.2.partial").write_text("half")
    assert cache.size() == sum(path.stat().st_size for path in cache.files()) > 1000
    assert cache.clear() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_oldest_leave_a_folder_that_grows_too_large(
    tmp_path: Path, one: xr.DataTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = mc.Cache(tmp_path)
    for age, key in enumerate("cba"):
        cache.keep_fit(key, one)
        os.utime(tmp_path / f"fit-{key}.nc", (time.time() - 60 * (age + 1),) * 2)
    monkeypatch.setattr(keeping, "_LARGEST", int(2.5 * (tmp_path / "fit-c.nc").stat().st_size))
    cache.keep_fit("d", one)
    assert [path.name for path in cache.files()] == ["fit-c.nc", "fit-d.nc"]


# --- refits --------------------------------------------------------------------------------------

RUN = Run(draws=100, chains=2, seed=5)


def variants(number: int = 4) -> list[Variant]:
    return [Variant(f"without {n}", SPEC, TABLE.drop(index=n), given=n) for n in range(number)]


def read(fit: Any, given: Any, *, factor: float = 1.0) -> dict[str, Any]:
    draws = fit["posterior"]["mu"].to_numpy()
    return {"mean": factor * float(draws.mean()), "draws": draws, "given": (given, np.nan)}


def values(found: list[Refit[Any]]) -> list[Any]:
    return [(each.label, each.failure, told(each.value)) for each in found]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Draw by the exact engine alone, and count."""
    seen: list[Any] = []

    def quick(spec: Any, evidence: Any, **options: Any) -> Any:
        seen.append(len(evidence))
        return mc.fit(spec, evidence, **options | {"method": "exact"})

    monkeypatch.setattr(refits, "fit_again", quick)
    return seen


def test_refits_are_made_once(tmp_path: Path, counted: list[Any]) -> None:
    run = Run(100, 2, 5, cache=mc.Cache(tmp_path))
    bare = refit_all(variants(), read=read, run=RUN, progress=False)
    first = refit_all(variants(2), read=read, run=run, progress=False)
    both = refit_all(variants(), read=read, run=run, progress=False)
    assert len(counted) == 4 + 2 + 2
    assert values(both) == values(bare)
    assert values(both)[:2] == values(first)
    counted.clear()
    refit_all(variants(), read=partial(read, factor=2.0), run=run, progress=False)
    refit_all(variants(), read=read, run=Run(100, 2, 6, cache=run.cache), progress=False)
    fresh = Run(100, 2, 5, cache=mc.Cache(tmp_path, fresh=True))
    refit_all(variants(), read=read, run=fresh, progress=False)
    assert len(counted) == 12


def test_a_label_is_only_a_name(tmp_path: Path, counted: list[Any]) -> None:
    run = Run(100, 2, 5, cache=mc.Cache(tmp_path))
    refit_all([Variant("one", SPEC, TABLE)], read=read, run=run, progress=False)
    (found,) = refit_all([Variant("other", SPEC, TABLE)], read=read, run=run, progress=False)
    assert (found.label, len(counted)) == ("other", 1)


class Breaks(Executor):
    """Runs some, then fails as a machine does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def submit(self, one: Any, /, *given: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        if self.left >= 0:
            future.set_result(one(*given, **options))
        else:
            future.set_exception(KeyboardInterrupt())
        return future


def test_what_was_done_before_an_interruption_is_not_done_again(
    tmp_path: Path, counted: list[Any]
) -> None:
    run = Run(100, 2, 5, cache=mc.Cache(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        refit_all(variants(), read=read, run=run, executor=Breaks(2), progress=False)
    done = len(mc.Cache(tmp_path).files())
    assert len(counted) == 2
    assert done <= 2
    found = refit_all(variants(), read=read, run=run, progress=False)
    assert len(counted) == 2 + 4 - done
    assert values(found) == values(refit_all(variants(), read=read, run=RUN, progress=False))


def test_a_multiverse_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    stop = 1

    def stops(spec: Any, evidence: Any, **options: Any) -> Any:
        if len(made) == stop:
            raise KeyboardInterrupt
        made.append(len(evidence))
        return quick(spec, evidence, **options)

    quick = partial(_exact, refits.fit_again)
    monkeypatch.setattr(refits, "fit_again", stops)
    room = import_module("metacart.results.multiverse")  # the verb hides its room
    monkeypatch.setattr(room, "fit_one", partial(_exact, mc.fit))
    ask = partial(
        mc.multiverse,
        SPEC.model_copy(update={"id": "cr", "outcome": "complete_remission"}),
        choices={"tau": [f"HalfNormal({width})" for width in (0.5, 1, 2)]},
        studies=mc.load_studies(mc.BUNDLED / "an2022.toml"),
        draws=2000,
        chains=2,
        progress=False,
    )
    with pytest.raises(KeyboardInterrupt):
        ask(cache=tmp_path)
    assert len(made) == 1
    stop = 100
    table = ask(cache=tmp_path)
    assert len(made) == 2  # of three one is the declared fit, and one was done
    pd.testing.assert_frame_equal(table, ask(cache=tmp_path))
    assert len(made) == 2
    pd.testing.assert_frame_equal(table, ask())


def _exact(fit: Callable[..., Any], *given: Any, **options: Any) -> Any:
    return fit(*given, **options | {"method": "exact"})


def test_what_fails_for_its_numbers_is_kept_with_its_reason_and_an_error_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def fails(_spec: Any, evidence: pd.DataFrame, **_options: Any) -> Any:
        seen.append(str(evidence["study"].iloc[0]))
        if seen[-1] == "a":
            raise mc.InputError(mc.Fault("column 'total'", "nothing"))
        raise RuntimeError("the compiler is away")

    monkeypatch.setattr(refits, "fit_again", fails)
    run = Run(100, 2, 5, cache=mc.Cache(tmp_path))
    listed = [Variant("faulty", SPEC, TABLE), Variant("away", SPEC, TABLE.iloc[1:])]
    for _ in range(2):
        found = refit_all(listed, read=read, run=run, progress=False)
        assert [each.failure for each in found] == [
            "cannot be fitted: column 'total': nothing",
            "cannot be fitted: RuntimeError: the compiler is away",
        ]
    assert seen == ["a", "b", "b"]


# --- values --------------------------------------------------------------------------------------

PLAIN = [
    *(None, True, 3, 0.1, -0.0, "text", np.float64(0.1), np.int32(7), np.bool_(True)),
    *([], (), {}, [1, (2.5, "x")], {"a": {"b": [1]}}, {("pair", 1): 2.0}, {"!": "sign"}),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_values_come_back_the_same(value: Any) -> None:
    back = unpacked(json.loads(json.dumps(packed(value))))
    assert (back, type(back), repr(back)) == (value, type(value), repr(value))


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3).T, np.array([np.nan, np.inf]), np.zeros((0, 2), dtype=np.int64)],
)
def test_arrays_come_back_the_same(array: Any) -> None:
    back = unpacked(json.loads(json.dumps(packed(array))))
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.shape, back.flags.writeable) == (array.dtype, array.shape, True)
    assert np.isnan(unpacked(json.loads(json.dumps(packed(float("nan"))))))


@pytest.mark.parametrize("value", [TABLE, object(), np.array(["a"]), {1, 2}, [object()]])
def test_what_has_no_words_is_not_kept(value: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownValueError):
        packed(value)
    mc.Cache(tmp_path).keep_value("k", value)
    assert list(tmp_path.iterdir()) == []


def test_what_tells_readers_apart() -> None:
    assert told(partial(read, factor=1.0)) != told(partial(read, factor=2.0))
    assert told(TABLE) != told(TABLE.assign(events=0))
    assert told(TABLE) == told(pickle.loads(pickle.dumps(TABLE)))
    data = xr.Dataset({"y": ("n", [1.0, 2.0])}, coords={"n": ["a", "b"]})
    assert told(data) != told(data.assign_coords(n=["a", "c"]))
    assert told(RUN) != told(Run(100, 2, 6))
    assert told(SPEC) != told(SPEC.model_copy(update={"title": "x"}))
    with pytest.raises(UnknownValueError):
        told(lambda: 1)
    assert key_of(SPEC, TABLE, lambda: 1, run={}, likelihoods=None) is None


@pytest.mark.parametrize(
    "verb",
    [mc.plot_cumulative, mc.plot_prior_sensitivity, mc.plot_influence, mc.plot_conflict],
    ids=lambda verb: verb.__name__,
)
def test_a_figure_takes_its_refits_from_the_folder(
    verb: Any, tmp_path: Path, made: list[str]
) -> None:
    table = TABLE.assign(year=[2018, 2019, 2021, 2022])
    fit = mc.fit(SPEC, table, seed=3, **SIZE | {"draws": 2000})
    options: dict[str, Any] = {"cache": tmp_path, "progress": False, "backend": "none"}
    if verb is mc.plot_prior_sensitivity:
        options |= {"mu": (1.0,), "tau": (1.0, 2.0)}
    verb(fit, **options)
    drawn = len(made)
    verb(fit, **options)
    assert len(made) == drawn
    if verb in (mc.plot_cumulative, mc.plot_prior_sensitivity):
        assert drawn > 1
        assert list(tmp_path.glob("read-*.json"))
