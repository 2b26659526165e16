"""Numbers, text, arrays and tables as JSON and back, the same to the last bit."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["UnknownValueError", "packed", "told", "unpacked"]

_SIGN = "!"  # the key of what JSON has no word for


class UnknownValueError(TypeError):
    """A value that this file has no words for."""


def packed(value: Any) -> Any:
    """Return a value in terms of JSON, from which ``unpacked`` makes it again.

    Raises
    ------
    UnknownValueError
        For what is neither None, a number, text or array, nor a list, tuple or mapping of these.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {_SIGN: "float", "text": repr(value)}
    if isinstance(value, np.generic):
        return {_SIGN: "number"} | _bytes(np.asarray(value))
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return {_SIGN: "array", "shape": list(value.shape)} | _bytes(value)
    if type(value) in (list, tuple):
        items = [packed(each) for each in value]
        return items if type(value) is list else {_SIGN: "tuple", "items": items}
    if isinstance(value, Mapping):
        if all(type(key) is str for key in value) and _SIGN not in value:
            return {key: packed(each) for key, each in value.items()}
        items = [[packed(key), packed(each)] for key, each in value.items()]
        return {_SIGN: "mapping", "items": items}
    raise UnknownValueError(type(value).__name__)


def unpacked(stored: Any) -> Any:
    """Return the value that ``packed`` was given."""
    if isinstance(stored, list):
        return [unpacked(each) for each in stored]
    if not isinstance(stored, dict):
        return stored
    kind = stored.get(_SIGN)
    if kind is None:
        return {key: unpacked(each) for key, each in stored.items()}
    if kind == "float":
        return float(stored["text"])
    if kind == "tuple":
        return tuple(unpacked(each) for each in stored["items"])
    if kind == "mapping":
        return {unpacked(key): unpacked(each) for key, each in stored["items"]}
    array = np.frombuffer(base64.b64decode(stored["bytes"]), dtype=stored["dtype"])
    return array[0] if kind == "number" else array.reshape(stored["shape"]).copy()


def _bytes(array: np.ndarray[Any, Any]) -> dict[str, str]:
    if array.dtype.kind not in "biuf":
        raise UnknownValueError(str(array.dtype))
    content = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "bytes": content}


def told(value: Any) -> Any:
    """Return a value in terms of JSON so that other values read otherwise; not to be read back.

    Raises
    ------
    UnknownValueError
        For what cannot be told from another of its kind, such as a function without a module.
    """
    import pandas as pd
    import xarray as xr

    from metacart.evidence.collection import Studies

    if isinstance(value, partial):
        return ["partial", *map(told, (value.func, value.args, value.keywords))]
    if callable(value):
        name = getattr(value, "__qualname__", "<")
        if "<" in name:  # a lambda, or a function inside of another
            raise UnknownValueError(name)
        return ["function", value.__module__, name]
    if isinstance(value, xr.DataTree):
        return ["fit", _hash(value)]
    if isinstance(value, Studies):
        return ["studies", told(list(value)), told(value.vocabulary)]
    if isinstance(value, xr.Dataset):
        variables = {str(name): each for name, each in value.variables.items()}
        return ["dataset", told(variables), told(value.attrs)]
    if isinstance(value, xr.Variable):
        return [list(map(str, value.dims)), told(value.to_numpy())]
    if isinstance(value, pd.DataFrame):
        columns = {str(name): each.tolist() for name, each in value.items()}
        return ["table", told(columns), told(value.index.tolist()), told(value.attrs)]
    if hasattr(value, "model_dump_json"):
        return [type(value).__name__, value.model_dump_json()]
    if is_dataclass(value):
        own = {each.name: getattr(value, each.name) for each in fields(value)}
        return [type(value).__name__, told(own)]
    if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
        return told(value.tolist())
    if isinstance(value, Mapping):
        return ["mapping", [[*map(told, item)] for item in value.items()]]
    if isinstance(value, list | tuple):
        return [told(each) for each in value]
    return packed(value)


def _hash(tree: xr.DataTree) -> str:
    """Return a hash of all groups: their values, dimensions, coordinates and attributes."""
    code = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda node: node.path):
        code.update(json.dumps([node.path, _plain(node.attrs)]).encode())
        for name, each in sorted(node.to_dataset(inherit=False).variables.items()):
            values = each.to_numpy()
            plain = values.dtype.kind in "biuf"
            head = [str(name), list(map(str, each.dims)), list(values.shape), _plain(each.attrs)]
            head += [values.dtype.str] if plain else [told(values.tolist())]
            code.update(json.dumps(head).encode())
            if plain:
                code.update(np.ascontiguousarray(values).data)
    return code.hexdigest()


def _plain(attributes: Mapping[Any, Any]) -> Any:
    """Return attributes so that those of a file read as those that were written into it."""
    return told({str(name): _bare(attributes[name]) for name in sorted(attributes, key=str)})


def _bare(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
