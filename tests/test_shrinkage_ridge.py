"""The shrinkage plot and the ridge of posteriors against their tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

import metacart as mc
from metacart.errors import InputError
from metacart.plots.axes import percent_axis
from metacart.plots.forest_marks import density_on

COUNTS = pd.DataFrame(
    {"study": list("abcde"), "events": [0, 7, 12, 20, 9], "total": [8, 9, 15, 21, 9]}
)


def fitted(spec: mc.ModelSpec, table: pd.DataFrame) -> Any:
    return mc.fit(spec, table, method="exact", draws=1000, seed=1, progress=False)


@pytest.fixture(scope="module")
def counts() -> Any:
    return fitted(mc.ModelSpec(likelihood="binomial", outcome="complete_remission"), COUNTS)


@pytest.fixture(scope="module")
def ratios() -> Any:
    table = pd.DataFrame(
        {
            "study": ["a", "b", "none"],
            "events": [4, 6, 0],
            "total": [20, 22, 40],
            "control_events": [9, 10, 12],
            "control_total": [21, 20, 20],
        }
    )
    return fitted(mc.ModelSpec(likelihood="two_arm"), table)


def found(figure: Any, name: str) -> dict[str, Any]:
    array = next(iter(figure.viz[name].dataset.data_vars.values()))
    return {str(row): np.ravel(array.sel(row=row).to_numpy())[0] for row in array["row"].to_numpy()}


def test_shrinkage_stands_as_the_estimates(counts: Any, tmp_path: Path) -> None:
    figure = mc.plot_shrinkage(counts, file=tmp_path / "shrinkage.png")
    assert (tmp_path / "shrinkage.png").stat().st_size > 10_000
    table = mc.study_estimates(counts).set_index("study").sort_values("shrunken", ascending=False)
    crude, shrunken = found(figure, "crude"), found(figure, "shrunken")
    assert list(crude) == [f"study:{name}" for name in table.index]
    for name, own in table.iterrows():
        assert crude[f"study:{name}"].get_offsets()[0, 0] == pytest.approx(own["crude"])
        assert shrunken[f"study:{name}"].get_offsets()[0, 0] == pytest.approx(own["shrunken"])
        path = found(figure, "path")[f"study:{name}"].get_xdata()
        assert path == pytest.approx([own["crude"], own["shrunken"]])
    # 0/8 is drawn up, 9/9 down
    texts = {row: each.get_text() for row, each in found(figure, "moved").items()}
    assert texts["study:a"].startswith("+")
    assert texts["study:e"].startswith("−")
    expected = found(figure, "expected")["study:a"].get_xdata()[0]
    middle = mc.summarize(counts).set_index("estimand").loc["median study", "median"]
    assert expected == pytest.approx(middle, rel=1e-6)
    plt.close("all")


def test_shrinkage_of_normal_estimates_in_closed_form() -> None:
    data = pd.DataFrame({"study": list("abc"), "estimate": [0.2, 1.5, -0.8], "se": [0.2, 0.4, 0.8]})
    spec = mc.ModelSpec(
        likelihood="normal", scale="identity",
        priors={"mu": "Normal(0, 0.001)", "tau": "TruncatedNormal(0.5, 0.001, 0.4, 0.6)"},
    )  # fmt: skip
    figure = mc.plot_shrinkage(fitted(spec, data), backend="none")
    share = 0.25 / (0.25 + data["se"] ** 2)
    for name, wanted in zip(data["study"], share * data["estimate"], strict=True):
        mark = found(figure, "shrunken")[f"study:{name}"]
        sd = np.sqrt(share * data["se"] ** 2).max()
        assert mark["x"][0] == pytest.approx(wanted, abs=5 * 1.25 * sd / np.sqrt(4000))
    assert found(figure, "expected")["study:a"]["x"][0] == pytest.approx(0.0, abs=0.001)


def test_a_ratio_of_nothing_ends_in_an_arrow(ratios: Any) -> None:
    figure = mc.plot_shrinkage(ratios)
    arrow = found(figure, "crude_below")
    assert list(arrow) == ["study:none"]
    low = figure.get_target(None, {"column": "shrinkage"}).get_xlim()[0]
    assert arrow["study:none"].get_offsets()[0, 0] == pytest.approx(low)
    assert found(figure, "moved")["study:a"].get_text().startswith("×")
    plt.close("all")


def test_expected_values_are_those_of_each_study() -> None:
    data = COUNTS.assign(scfv=["x", "x", "y", "y", "y"])
    spec = mc.ModelSpec(likelihood="binomial", moderators=("scfv",))
    fit = fitted(spec, data)
    expected = found(mc.plot_shrinkage(fit, backend="none"), "expected")
    posterior = fit["posterior"]
    wanted = 1 / (1 + np.exp(-np.median(posterior["mu"] + posterior["beta"].isel(coefficient=0))))
    reference = 1 / (1 + np.exp(-np.median(posterior["mu"])))
    at = {row: round(float(mark["x"][0]), 6) for row, mark in expected.items()}
    assert sorted(set(at.values())) == pytest.approx(sorted([wanted, reference]), abs=1e-6)
    assert at["study:a"] == at["study:b"] != at["study:c"]


def test_ridge_stands_as_the_forest_table(counts: Any, tmp_path: Path) -> None:
    figure = mc.plot_ridge(counts, file=tmp_path / "ridge.svg")
    assert "<desc" in (tmp_path / "ridge.svg").read_text("utf-8")
    table = mc.forest_table(counts, subgroups=False)
    medians = {row: each.get_offsets()[0, 0] for row, each in found(figure, "median").items()}
    rows = [
        *(f"study:{name}" for name in table.loc[table["row"] == "study", "study"]),
        *(f"estimand:{name}" for name in table.loc[table["row"] != "study", "label"]),
    ]
    assert sorted(medians) == sorted(rows)
    for row, own in zip(rows, table.to_dict("records"), strict=True):
        assert medians[row] == pytest.approx(own["shrunken"])
        kind = "_next" if "next" in row else "_estimand" if "estimand" in row else ""
        line = found(figure, f"interval{kind}")[row].get_xdata()
        assert line == pytest.approx([own["shrunken_lower"], own["shrunken_upper"]])
    studies = [row for row in medians if row.startswith("study")]
    assert [medians[row] for row in studies] == sorted(
        (medians[row] for row in studies), reverse=True
    )
    plt.close("all")


def test_hills_are_densities_of_their_draws() -> None:
    """A study with a known normal posterior: its hill is that density."""
    data = pd.DataFrame({"study": list("ab"), "estimate": [0.3, 0.5], "se": [0.4, 0.3]})
    spec = mc.ModelSpec(
        likelihood="normal", scale="identity",
        priors={"mu": "Normal(0, 0.001)", "tau": "TruncatedNormal(0.5, 0.001, 0.4, 0.6)"},
    )  # fmt: skip
    figure = mc.plot_ridge(fitted(spec, data))
    edge = found(figure, "hill")["study:a"].get_paths()[0].vertices
    x, y = edge[:, 0], edge[:, 1].max() - edge[:, 1]
    precision = 1 / 0.16 + 1 / 0.25
    wanted = stats.norm.pdf(x, 0.3 / 0.16 / precision, precision**-0.5)
    up = y > 0.1 * y.max()
    assert y[up] / y.max() == pytest.approx(wanted[up] / wanted.max(), abs=0.12)
    plt.close("all")


@pytest.mark.parametrize(("a", "b"), [(1, 74), (13, 1), (2, 30), (20, 8), (0.5, 5)])
@pytest.mark.parametrize("limits", [None, (0.0, 0.4), (0.7, 1.0)])
def test_density_of_rates_is_that_of_a_beta_distribution_up_to_both_ends(
    a: float, b: float, limits: tuple[float, float] | None
) -> None:
    """Against the exact distribution function, at its quantiles instead of random draws."""
    exact = stats.beta(a, b)
    draws = exact.ppf((np.arange(4000) + 0.5) / 4000)
    axis = percent_axis("", limits=limits)
    x, height = density_on(axis, draws)
    assert (x[0], x[-1]) == (axis.low, axis.high)
    edges = np.linspace(axis.low, axis.high, x.size - 1)
    wanted = np.diff(exact.cdf(edges)) / np.diff(edges)
    whole = max(wanted.max(), exact.pdf(np.linspace(0.004, 0.996, 249)).max())
    assert height[1:-1] == pytest.approx(wanted, abs=0.06 * whole)
    assert (height[0], height[-1]) == pytest.approx((wanted[0], wanted[-1]), abs=0.06 * whole)


def test_extreme_rates_and_ratios_are_drawn(ratios: Any) -> None:
    fit = fitted(mc.ModelSpec(likelihood="binomial"), COUNTS.assign(events=0))
    for verb in (mc.plot_shrinkage, mc.plot_ridge):
        figure = verb(fit, backend="none")
        assert set(found(figure, "study")) >= {f"study:{name}" for name in "abcde"}
    hill = found(mc.plot_ridge(ratios), "hill")["study:none"].get_paths()[0].vertices
    assert np.isfinite(hill).all()
    plt.close("all")


@pytest.mark.parametrize("verb", [mc.plot_shrinkage, mc.plot_ridge, mc.plot_joint])
def test_what_cannot_be_is_refused(verb: Any, counts: Any) -> None:
    with pytest.raises(InputError, match="backend"):
        verb(counts, backend="bokeh")
    with pytest.raises(InputError, match=r"suffix '\.gif'"):
        verb(counts, file="figure.gif")
    system = counts.copy()
    system.attrs = {**counts.attrs, "system": "joint", "instead": "benefit_risk"}
    with pytest.raises(InputError, match=rf"{verb.__name__}\(fit\).*several means"):
        verb(system)
