"""Saved fits: what cannot be written, and files that are damaged, changed or of another version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.errors import InputError
from metacart.inference.records import evidence_of, evidence_text, hash_of

TABLE = pd.DataFrame({"study": list("ABCD"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})


@pytest.fixture(scope="module")
def fit() -> xr.DataTree:
    return mc.fit(
        mc.ModelSpec(likelihood="binomial"), TABLE, method="exact", draws=500, chains=2, seed=1
    )


@pytest.fixture
def saved(fit: xr.DataTree, tmp_path: Path) -> Path:
    return mc.save_fit(fit, tmp_path / "fit.nc")


def changed(fit: xr.DataTree, **attributes: Any) -> xr.DataTree:
    other = fit.copy()
    kept = {
        name: value for name, value in fit.attrs.items() if attributes.get(name, "") is not None
    }
    other.attrs = kept | {name: value for name, value in attributes.items() if value is not None}
    return other


def refusal_of(path: Any) -> str:
    with pytest.raises(InputError) as refusal:
        mc.load_fit(path)
    return str(refusal.value)


def test_every_byte_of_the_draws_is_checked(saved: Path, fit: xr.DataTree) -> None:
    import h5py

    with h5py.File(saved) as file:
        start = file["posterior/mu"].id.get_chunk_info(0).byte_offset
        for node in fit.children.values():
            for name, array in node.data_vars.items():
                checked = array.ndim > 0 and array.size > 0 and array.dtype.kind in "biuf"
                assert file[f"{node.path}/{name}"].fletcher32 == checked, (node.path, name)
    mc.load_fit(saved)
    raw = bytearray(saved.read_bytes())
    raw[start + 40] ^= 1  # one bit of one draw
    saved.write_bytes(raw)
    message = refusal_of(saved)
    assert f"'{saved}' cannot be read" in message
    assert "fit and save again" in message


def test_a_file_cut_or_overwritten_anywhere_is_refused_in_words(saved: Path) -> None:
    raw = saved.read_bytes()
    rng = np.random.default_rng(3)
    for length in (0, 10, 1000, len(raw) // 2, len(raw) - 100):
        saved.write_bytes(raw[:length])
        assert f"path: '{saved}'" in refusal_of(saved)
    refused = 0
    for start in rng.integers(0, len(raw) - 3000, size=12):
        saved.write_bytes(raw[:start] + b"\xff" * 3000 + raw[start + 3000 :])
        try:
            mc.load_fit(saved)
        except InputError:
            refused += 1  # any other exception fails the test
    assert refused


@pytest.mark.parametrize("name", ["spec", "evidence"])
def test_another_spec_or_evidence_than_was_fitted(
    name: str, fit: xr.DataTree, tmp_path: Path
) -> None:
    text = fit.attrs[name].replace("binomial", "normal").replace("13", "14")
    assert text != fit.attrs[name]
    path = mc.save_fit(changed(fit, **{name: text}), tmp_path / "other.nc")
    assert f"holds another {name} than was fitted" in refusal_of(path)
    own = changed(fit, **{name: text, f"{name}_hash": hash_of(text)})
    assert mc.load_fit(mc.save_fit(own, path)).attrs[name] == text


@pytest.mark.parametrize("name", ["seed", "evidence", "versions", "gate", "spec_hash"])
def test_a_fit_that_lacks_something(name: str, fit: xr.DataTree, tmp_path: Path) -> None:
    path = mc.save_fit(changed(fit, **{name: None}), tmp_path / "less.nc")
    assert f"lacks its {name}: it is damaged" in refusal_of(path)


def test_a_fit_of_a_newer_metacart(fit: xr.DataTree, tmp_path: Path) -> None:
    text = json.dumps(json.loads(fit.attrs["spec"]) | {"wisdom": 3})
    versions = json.dumps({"metacart": "9.0"})
    other = changed(fit, spec_hash=hash_of(fit.attrs["spec"]), versions=versions)
    path = mc.save_fit(other, tmp_path / "newer.nc")
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        tree = tree.load()
    tree.attrs |= {"spec": text, "spec_hash": hash_of(text)}
    tree.to_netcdf(path, engine="h5netcdf")
    message = refusal_of(path)
    assert "was written by metacart 9.0, which this one cannot read: wisdom: this key" in message


def test_a_fit_without_a_group_or_a_seed_is_refused_by_every_verb(fit: xr.DataTree) -> None:
    less = fit.copy()
    del less["posterior"]
    with pytest.raises(InputError, match="a fit without its posterior"):
        mc.summarize(less)
    with pytest.raises(InputError, match="a DataTree without its seed"):
        mc.summarize(changed(fit, seed=None))


@pytest.mark.parametrize("path", [3, None])
def test_what_is_no_path(path: Any, fit: xr.DataTree) -> None:
    for call in (lambda: mc.load_fit(path), lambda: mc.save_fit(fit, path)):
        with pytest.raises(InputError, match=f"path: a {type(path).__name__}; allowed: a path"):
            call()


def test_what_cannot_be_written(
    fit: xr.DataTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "file").write_text("mine")
    for path, words in (
        (tmp_path / "folder.nc", "is a folder"),
        (f"{tmp_path}/folder/", "a file ending in .nc"),
        (tmp_path / "file" / "fit.nc", f"'{tmp_path / 'file'}' is a file"),
        ("/proc/fit.nc", "'/proc/fit.nc' cannot be written"),
    ):
        with pytest.raises(InputError) as refusal:
            mc.save_fit(fit, path)
        assert words in str(refusal.value)
        assert ".partial" not in str(refusal.value)
    with pytest.raises(InputError, match="a int without its spec"):
        mc.save_fit(3, tmp_path / "fit.nc")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.nc"]

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(InputError, match=r"fit\.nc' cannot be written: No space left on device"):
        mc.save_fit(fit, tmp_path / "fit.nc")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.nc"]


def test_cells_of_any_kind_are_kept_as_text() -> None:
    odd = TABLE.assign(
        when=pd.Timestamp("2020-02-03"),
        array=[np.arange(2)] * 4,
        names=[{"x"}] * 4,
        series=[pd.Series([1])] * 4,
        missing=[None, np.nan, pd.NA, pd.NaT],
    )
    rows = json.loads(evidence_text(odd))["rows"]
    assert rows[0][3:6] == ["2020-02-03 00:00:00", [0, 1], "{'x'}"]
    assert [row[-1] for row in rows] == [None] * 4


def test_odd_columns_do_not_cost_a_fit() -> None:
    odd = TABLE.assign(array=[np.arange(2)] * 4, names=[{"x"}] * 4)
    fit = mc.fit(
        mc.ModelSpec(likelihood="binomial"), odd, method="exact", draws=200, chains=2, seed=1
    )
    assert evidence_of(fit)["array"].tolist() == [[0, 1]] * 4
