"""Refits on a Dask cluster: the same tables, and the same rows for what cannot be fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from distributed import Client, LocalCluster

import metacart as mc

TABLE = pd.DataFrame(
    {
        "study": list("abcd"),
        "events": [9, 5, 13, 2],
        "total": [10, 8, 19, 9],
        "year": [2018, 2019, 2020, 2021],
        "scfv": ["human", "human", "murine", "human"],
    }
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    # workers that are threads of this process: nothing has to be imported again
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with cluster, Client(cluster) as client, client.get_executor() as executor:
        yield executor


def test_the_script_of_the_readme_changes_no_number(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (script,) = (
        block.partition("```")[0]
        for block in readme.split("```python\n")[1:]
        if "from distributed" in block.partition("```")[0]
    )
    connected: list[dict[str, Any]] = []

    def connect(**options: Any) -> Any:
        connected.append(options)
        return nullcontext(SimpleNamespace(get_executor=lambda: nullcontext(pool)))

    monkeypatch.setattr("distributed.Client", connect)
    spec = mc.ModelSpec(likelihood="binomial")
    fit = mc.fit(spec, TABLE, method="exact", draws=2500, seed=3, progress=False)
    alone = mc.leave_one_out(fit, progress=False)
    assert alone["computed"].str.startswith("refitted").any()
    names = {"__name__": "__main__", "mc": mc, "fit": fit}
    exec(compile(script, "README.md", "exec"), names)
    assert connected == [{"threads_per_worker": 1}]
    pd.testing.assert_frame_equal(names["table"], alone)


def test_what_cannot_be_fitted_on_a_cluster_is_a_row_with_its_reason(pool: Any) -> None:
    spec = mc.ModelSpec(likelihood="binomial", moderators=("scfv",))
    fit = mc.fit(spec, TABLE, method="exact", draws=2500, seed=3, progress=False)
    table = mc.cumulative(fit, executor=pool, progress=False).drop_duplicates("step")
    assert table["computed"].tolist() == [
        *["cannot be fitted: moderator 'scfv': the evidence has the one level 'human'"] * 2,
        "refitted",
        "as fitted",
    ]
