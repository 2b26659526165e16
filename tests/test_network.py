"""The evidence network of re-treatment and its table."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart.errors import InputError

ARMS = pd.DataFrame(
    [
        ("a", 10, "murine", "humanized", "CD19", False),
        ("a", 4, "murine", "murine", "CD19", True),
        ("b", 7, "humanized", "humanized", "CD19", True),
        ("c", 8, "unreported", "humanized", "CD22", False),
        ("d", 30, "murine", "humanized", "CD19", False),
        ("e", 5, None, "unreported", "dual", None),
    ],
    columns=["study", "total", "prior_scfv", "scfv", "target", "same_product"],
)


def many(number):
    rng = np.random.default_rng(number)
    return pd.DataFrame(
        {
            "study": [f"s{n // 2 if n < number // 3 else n}" for n in range(number)],
            "total": rng.integers(1, 90, number),
            "prior_scfv": rng.choice(["murine", "humanized", "unreported"], number),
            "scfv": rng.choice(["murine", "humanized, with a long name of its binder"], number),
            "target": rng.choice(["CD19", "CD22", "dual"], number),
            "same_product": rng.choice([True, False], number),
        }
    )


def close(figure):
    from matplotlib import pyplot as plt

    plt.close(figure.viz["figure"].item())


def test_edges_hold_each_arm_once():
    table = mc.network_table(ARMS)
    edges = table[table["kind"] == "sequence"].set_index(["source", "to", "same_product"])
    assert edges["arms"].sum() == 6
    assert edges["patients"].sum() == ARMS["total"].sum()
    first = edges.loc[("murine", "CD19, humanized", "another")]
    assert first[["studies", "arms", "patients"]].tolist() == [2, 2, 40]
    assert edges.loc[("humanized", "CD19, humanized", "same"), "patients"] == 7
    assert edges.loc[("not stated", "CD22, humanized", "another"), "patients"] == 8
    assert edges.loc[("not stated", "dual, not stated", "not stated"), "patients"] == 5


def test_what_one_study_gave_both_is_compared():
    table = mc.network_table(ARMS)
    pairs = table[table["kind"] == "comparison"]
    assert pairs[["source", "to"]].to_numpy().tolist() == [["CD19, humanized", "CD19, murine"]]
    assert pairs[["studies", "arms", "patients"]].to_numpy().tolist() == [[1, 2, 14]]
    # CD19 of both kinds hang together, CD22 and dual stand alone
    assert table.attrs["groups"] == 3
    assert mc.network_table(ARMS[ARMS["study"] != "a"]).attrs["groups"] == 3


def test_the_table_against_a_cross_table():
    evidence = many(60)
    edges = mc.network_table(evidence).query("kind == 'sequence'")
    after = evidence["target"] + ", " + evidence["scfv"]
    before = evidence["prior_scfv"].replace("unreported", "not stated")
    expected = pd.crosstab(before, after, values=evidence["total"], aggfunc="sum")
    found = edges.groupby(["source", "to"])["patients"].sum()
    for (source, to), patients in found.items():
        assert expected.loc[source, to] == patients
    assert len(found) == expected.notna().to_numpy().sum()


def test_the_bundled_arms_are_not_connected():
    evidence = mc.tabulate(mc.load_studies(), "retreatment_cr")
    table = mc.network_table(evidence)
    assert set(table["kind"]) == {"sequence"}
    assert table["patients"].sum() == evidence["total"].sum()
    assert table.attrs["groups"] == evidence.groupby(["target", "scfv"]).ngroups
    figure = mc.plot_network(evidence, backend="none")
    assert "every comparison is one across studies" in figure.viz.attrs["alt"]


def test_other_columns_make_other_nodes():
    table = mc.network_table(ARMS, after=["target"])
    assert set(table["to"]) == {"CD19", "CD22", "dual"}


def test_lines_join_what_the_table_says():
    figure = mc.plot_network(ARMS)
    edges = mc.network_table(ARMS).query("kind == 'sequence'").reset_index(drop=True)
    lines = [each.item() for each in figure.viz["edge"]["edge"]]
    widths = np.array([line.get_linewidth() for line in lines])
    assert (np.diff(widths[np.argsort(edges["patients"], kind="stable")]) >= 0).all()
    styles = [line.get_linestyle() != "-" for line in lines]
    assert styles == (edges["same_product"] == "same").tolist()
    boxes = dict(zip(figure.viz["box"]["row"].to_numpy(), figure.viz["box"]["box"], strict=True))

    def heights(name):
        corners = boxes[name].item().get_paths()[0].vertices[:, 1]
        return corners.min(), corners.max()

    for line, row in zip(lines, edges.to_dict("records"), strict=True):
        start, end = line.get_ydata()
        low, high = heights(f"source:{row['source']}")
        assert low < start < high
        low, high = heights(f"to:{row['to']}")
        assert low < end < high
    assert figure.viz["comparison"]["comparison"].sizes["row"] == 1
    close(figure)


@pytest.mark.parametrize("number", [4, 60])
def test_everything_has_room(number):
    figure = mc.plot_network(many(number))
    drawn = figure.viz["figure"].item()
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    boxes = [text.get_window_extent() for axes in drawn.axes for text in axes.texts]
    for n, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= -1
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1
        assert not any(box.shrunk(0.98, 0.8).overlaps(other) for other in boxes[:n])
    assert width / drawn.dpi < 9
    close(figure)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files(suffix, tmp_path):
    mc.plot_network(ARMS, file=tmp_path / f"figure.{suffix}")
    assert (tmp_path / f"figure.{suffix}").stat().st_size > 5000


@pytest.mark.parametrize(
    ("evidence", "options", "words"),
    [
        ("retreatment_cr", {}, "a str"),
        (ARMS, {"before": "prior"}, "no column 'prior'"),
        (ARMS, {"after": ["scFv"]}, "no column 'scFv'"),
        (ARMS, {"after": []}, "no columns"),
        (ARMS.drop(columns="total"), {}, "no column 'total'"),
        (ARMS.assign(prior_scfv=None), {}, "no arm says what was given before"),
        (ARMS, {"file": "figure.jpg"}, "the suffix '.jpg'"),
        (ARMS, {"backend": "plotly"}, "'plotly' is not known"),
        (ARMS, {"colour": "red"}, "no such option"),
    ],
)
def test_what_is_refused(evidence, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        mc.plot_network(evidence, **options)
