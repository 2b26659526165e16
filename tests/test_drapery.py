"""The drapery plot and its table."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

import metacart as mc
from metacart.errors import InputError


@pytest.fixture(scope="module")
def normal() -> Any:
    """Mu and tau all but known: theta is normal in closed form."""
    data = pd.DataFrame({"study": list("abc"), "estimate": [0.2, 1.5, -0.8], "se": [0.2, 0.4, 0.8]})
    spec = mc.ModelSpec(
        likelihood="normal", scale="identity",
        priors={"mu": "Normal(0, 0.001)", "tau": "TruncatedNormal(0.5, 0.001, 0.4, 0.6)"},
    )  # fmt: skip
    return mc.fit(spec, data, method="exact", draws=2000, seed=1, progress=False)


@pytest.fixture(scope="module")
def counts() -> Any:
    table = pd.DataFrame(
        {
            "study": [f"A consortium with a name that is much too long {n}" for n in range(34)],
            "events": [0, 9, *[n % 7 + 1 for n in range(32)]],
            "total": [8, 9, *[n % 5 + 9 for n in range(32)]],
        }
    )
    spec = mc.ModelSpec(likelihood="binomial", outcome="complete_remission")
    return mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)


def test_tails_of_a_normal_posterior(normal: Any) -> None:
    table = mc.drapery_table(normal)
    variance = np.array([0.04, 0.16, 0.64])
    share = 0.25 / (0.25 + variance)
    means, sds = share * np.array([0.2, 1.5, -0.8]), np.sqrt(share * variance)
    for name, mean, sd in zip("abc", means, sds, strict=True):
        own = table[table["name"] == name]
        exact = 2 * stats.norm.sf(np.abs(own["value"] - mean) / sd)
        # the error of a share p of 8,000 draws, twice over
        error = 2 * np.sqrt(own["below"] * (1 - own["below"]) / 8000)
        assert (np.abs(exact - own["tail"]) < 4.5 * error + 0.01).all()
    following = table[table["name"] == "next study"]
    exact = 2 * stats.norm.sf(np.abs(following["value"]) / 0.5)
    assert np.abs(exact - following["tail"]).max() < 0.06


def test_where_a_tail_is_above_005_is_the_interval(counts: Any) -> None:
    table = mc.drapery_table(counts)
    summary = mc.summarize(counts).set_index("estimand")
    for name in ("median study", "population average", "next study"):
        own = table[(table["row"] == "estimand") & (table["name"] == name)].set_index("below")
        found = own.loc[[0.025, 0.5, 0.975]]
        wanted = summary.loc[name, ["lower", "median", "upper"]].astype(float)
        assert found["value"].to_numpy() == pytest.approx(wanted.to_numpy())
        assert found["tail"].tolist() == pytest.approx([0.05, 1.0, 0.05])
    studies = mc.study_estimates(counts)
    own = table[(table["row"] == "study") & (table["below"] == 0.975)]
    assert own["value"].to_numpy() == pytest.approx(studies["shrunken_upper"].to_numpy())


def test_curves_stand_as_the_table(counts: Any, tmp_path: Path) -> None:
    figure = mc.plot_drapery(counts, file=tmp_path / "drapery.png")
    assert (tmp_path / "drapery.png").stat().st_size > 20_000
    curves = {
        str(each.get_gid()): each for each in figure.get_target(None, {"column": "drapery"}).lines
    }
    table = mc.drapery_table(counts)
    for (row, name), own in table.groupby(["row", "name"]):
        line = curves[f"{row}:{name}"]
        rates = 1 / (1 + np.exp(-np.asarray(line.get_xdata())))
        assert rates == pytest.approx(own["value"].to_numpy(), rel=1e-9)
        assert line.get_ydata() == pytest.approx(own["tail"].to_numpy())
    # 34 studies: the ten lowest and the ten highest have names, which do not overlap
    found = figure.viz["name"].dataset
    assert found.sizes["row"] == 20
    figure.viz["figure"].item().canvas.draw()
    boxes = [
        each.get_window_extent()
        for each in np.ravel(next(iter(found.data_vars.values())).to_numpy())
    ]
    boxes.sort(key=lambda box: box.x0)
    assert all(right.x0 >= left.x1 - 2 for left, right in itertools.pairwise(boxes))
    assert "next study" in figure.viz.attrs["alt"]
    plt.close("all")


def test_what_cannot_be_is_refused(normal: Any) -> None:
    with pytest.raises(InputError, match="backend"):
        mc.plot_drapery(normal, backend="bokeh")
    with pytest.raises(InputError, match=r"suffix '\.gif'"):
        mc.plot_drapery(normal, file="figure.gif")
    system = normal.copy()
    system.attrs = {**normal.attrs, "system": "joint", "instead": "benefit_risk"}
    for verb in (mc.drapery_table, mc.plot_drapery):
        with pytest.raises(InputError, match=rf"{verb.__name__}\(fit\).*several means"):
            verb(system)
