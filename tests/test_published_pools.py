"""Our estimates beside published meta-analyses of the same question."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart.errors import InputError
from metacart.report.published_table import published_table
from metacart.scales import SCALES

POOLED = ("cr_rate", "severe_crs", "hsct_benefit_os", "hsct_benefit_efs")


@pytest.fixture(scope="module", params=POOLED)
def fit(request):
    return mc.fit(request.param, method="exact", seed=5)


def test_our_interval_meets_every_published_one(fit):
    # the published pools share most trials with the bundled papers: same papers, same answer
    table = mc.compare_published(fit)
    seen = table[table["lower"].notna()]
    assert len(seen) >= 1
    assert seen["overlaps"].all(), table.to_string()


def log_hazard_ratio(row):
    """By normal approximation; of counts on log(-log(1 - p)), with half an event more."""
    if row["kind"] == "ratio":
        return np.log(row["ratio"]), (np.log(row["upper"] / row["lower"]) / 3.92) ** 2
    groups = [(row["events"], row["total"]), (row["control_events"], row["control_total"])]
    shares = [((events + 0.5) / (total + 1.0), total + 1.0) for events, total in groups]
    hazards = [np.log(-np.log1p(-p)) for p, _ in shares]
    variance = sum(p / (n * (1 - p) * np.log1p(-p) ** 2) for p, n in shares)
    return hazards[0] - hazards[1], variance


def test_the_pool_agrees_with_a_random_effects_pool_by_moments(fit):
    """DerSimonian and Laird (1986) on the model scale: another estimator, another program."""
    evidence = mc.inference.records.evidence_of(fit)
    if "ratio" in evidence:
        inverse = SCALES["log"].inverse
        y, v = zip(*(log_hazard_ratio(row) for row in evidence.to_dict("records")), strict=True)
        y, v = np.array(y), np.array(v)
    else:
        inverse = SCALES["logit"].inverse
        events, total = evidence["events"] + 0.5, evidence["total"] + 1.0
        y = np.log(events / (total - events)).to_numpy()
        v = (1 / events + 1 / (total - events)).to_numpy()
    w = 1 / v
    q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    tau2 = max(0.0, (q - (len(y) - 1)) / (w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (v + tau2)
    pooled = float(inverse((w * y).sum() / w.sum()))
    summary = mc.summarize(fit).set_index("estimand")
    name = "median study" if "median study" in summary.index else "median study (naive)"
    row = summary.loc[name]
    # the moments' pool leaves the exact likelihood out; it lies well inside of our interval
    assert row["lower"] < pooled < row["upper"]


def test_the_columns_say_what_is_compared(fit):
    table = mc.compare_published(fit)
    spec = mc.inference.records.spec_of(fit)
    assert list(table["source"]) == [each.paper for each in spec.published]
    assert set(table["estimand"]) == {
        "median study, naive" if spec.likelihood == "hsct" else "population average"
    }
    summary = mc.summarize(fit).set_index("estimand")["median"]
    names = {"median study, naive": "median study (naive)"}
    name = names.get(table["estimand"][0], table["estimand"][0])
    assert table["ours"].to_numpy() == pytest.approx(summary[name])


def test_a_spec_without_published_pools_gives_no_row():
    table = pd.DataFrame({"study": ["a", "b"], "events": [3, 5], "total": [9, 9]})
    fit = mc.fit(mc.ModelSpec(likelihood="binomial"), table, method="exact", seed=1)
    assert mc.compare_published(fit).empty


def published(**values):
    own = {
        "paper": "Doe 2020",
        "doi": "10.1000/doe",
        "estimate": 0.8,
        "lower": 0.7,
        "upper": 0.9,
        "pooled": "remission",
        "at": "Abstract",
        "differs": "other papers",
    }
    return {key: value for key, value in (own | values).items() if value is not None}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"doi": None}, ["published[0]: no identifier", "a doi or a pmid"]),
        (
            {"upper": None},
            ["published[0]: one limit of an interval", "lower and upper, or neither"],
        ),
        ({"estimate": 0.95}, ["published[0].estimate: 0.95 (0.7 to 0.9)", "holds its estimate"]),
        ({"differs": None}, ["published[0].differs: this key is missing"]),
    ],
)
def test_what_a_published_pool_cannot_be(values, words):
    with pytest.raises(InputError) as refusal:
        mc.ModelSpec(likelihood="binomial", published=[published(**values)])
    for word in words:
        assert word in str(refusal.value)


def test_the_table_of_the_page_has_ours_first():
    spec = mc.ModelSpec(
        likelihood="binomial",
        published=[published(), published(lower=None, upper=None, studies=35, patients=953)],
    )
    table = pd.DataFrame({"study": list("abc"), "events": [8, 5, 7], "total": [9, 9, 9]})
    fit = mc.fit(spec, table, method="exact", seed=1)
    page = published_table(mc.compare_published(fit), SCALES["logit"])
    rows = [tuple(str(cell) for cell in row.cells) for row in page.rows]
    assert rows[0][0] == "This page"
    assert rows[1][2:4] == ("80 (70 to 90)", "overlap")
    assert rows[2][2:4] == ("80 (no interval seen)", "not comparable")
    assert "35 studies, 953 patients" in rows[2][1]
