"""Compiled models, kept in the process: the same graph with other data is not compiled again."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.native import quick_entry

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Compiled", "compiled"]

_KEPT = 16  # compiled models, those used last


@dataclass(frozen=True)
class Compiled:
    """A compiled model with data.

    Attributes
    ----------
    function : nutpie.CompiledModel
        Density, gradient and what follows from the parameters, of these data.
    coords : dict of str to list
        The labels of its dimensions.
    """

    function: Any
    coords: dict[str, list[Any]]

    def sample(
        self,
        *,
        draws: int,
        tune: int,
        chains: int,
        seed: int,
        target_accept: float,
        progress: bool,
    ) -> xr.DataTree:
        """Return the draws, without warm-up."""
        import nutpie

        running = nutpie.sample(
            self.function,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            target_accept=target_accept,
            progress_bar=progress,
            save_warmup=False,
            blocking=False,
        )
        try:
            result: xr.DataTree = running.wait()
        except BaseException:
            # left to itself, nutpie takes an interrupt for a wish to have fewer draws
            running.cancel()
            raise
        posterior = result["posterior"].to_dataset()
        own = {name: labels for name, labels in self.coords.items() if name in posterior.dims}
        result["posterior"] = type(result)(posterior.assign_coords(own))
        return result


@dataclass
class _Entry:
    """A graph that is compiled once, whoever asks for it first; the others wait.

    Attributes
    ----------
    lock : Lock
        Held while it is compiled, and while starting points are drawn: they are read from data
        that all its users share.
    """

    lock: Lock = field(default_factory=Lock)
    model: Any = None
    function: Any = None

    def with_data_of(self, model: pm.Model) -> Compiled:
        """Return the compiled function of a model of the same graph."""
        data = _data(model)
        with self.lock:
            if self.function is None:
                self.model, self.function = model, _compile(model)
        known = {variable.name for variable in self.function.shared_var_keys}
        function = self.function.with_data(**{n: v for n, v in data.items() if n in known})
        function = replace(function, initial_point_func=self._start(data))
        return Compiled(function, {n: [*v] for n, v in model.coords.items() if v is not None})

    def _start(self, data: dict[str, NDArray[Any]]) -> Callable[[Any], NDArray[np.float64]]:
        """Return the function that draws a starting point, at the data of the model."""

        def start(seed: Any = None) -> NDArray[np.float64]:
            with self.lock:
                for name, values in data.items():
                    self.model[name].set_value(values)
                return np.asarray(self.function.initial_point_func(seed))

        return start


_ENTRIES: OrderedDict[Hashable, _Entry] = OrderedDict()
_LOCK = Lock()


def compiled(model: pm.Model) -> Compiled:
    """Return a model compiled, from what is kept where a model of the same graph was compiled.

    Parameters
    ----------
    model : pymc.Model
        What may differ from one fit to the next stands in ``pm.Data``, of the same shape.

    Returns
    -------
    Compiled
    """
    key = _graph(model)
    with _LOCK:
        entry = _ENTRIES.setdefault(key, _Entry())
        _ENTRIES.move_to_end(key)
        while len(_ENTRIES) > _KEPT:
            _ENTRIES.popitem(last=False)
    return entry.with_data_of(model)


def _compile(model: pm.Model) -> Any:
    import nutpie

    with warnings.catch_warnings(), quick_entry() as options:
        # numba and pytensor warn about their own caches; nothing there is for our reader
        warnings.simplefilter("ignore")
        return nutpie.compile_pymc_model(model, backend="numba", **options)


def _data(model: pm.Model) -> dict[str, NDArray[Any]]:
    return {variable.name: variable.get_value() for variable in model.data_vars}


def _graph(model: pm.Model) -> Hashable:
    """Return all that is compiled of a model: its graph with every constant, data by their shape.

    Two models with the same are the same function of parameters and data. A constant that differs,
    wherever it came from, makes it another: what is not known to be data is never exchanged.
    """
    import pymc as pm

    roots = [
        *model.free_RVs,
        *model.deterministics,
        *model.potentials,
        # an observed variable may be of a class of its own, but its density is a graph
        *(pm.logp(each, model.rvs_to_values[each]) for each in model.observed_RVs),
    ]
    data = {variable: _shape(variable) for variable in model.data_vars}
    place: dict[Any, int] = {}
    nodes: list[Hashable] = []
    for variable in _ancestors(roots):
        place[variable] = len(place)
        nodes.append(_node(variable, place, data))
    return (
        tuple(nodes),
        tuple((each.name, place[each]) for each in roots),
        tuple(type(model.rvs_to_transforms[each]).__qualname__ for each in model.free_RVs),
        tuple((name, tuple(dims)) for name, dims in model.named_vars_to_dims.items()),
    )


def _ancestors(roots: Iterable[Any]) -> Iterator[Any]:
    """Yield each variable after all those that it is made of."""
    seen: set[Any] = set()
    stack = [(variable, False) for variable in reversed([*roots])]
    while stack:
        variable, ready = stack.pop()
        if variable in seen:
            continue
        if ready or variable.owner is None:
            seen.add(variable)
            yield variable
            continue
        stack.append((variable, True))
        stack += [(each, False) for each in reversed(variable.owner.inputs)]


def _node(variable: Any, place: dict[Any, int], data: dict[Any, Hashable]) -> Hashable:
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.basic import Constant

    if variable.owner is not None:
        inputs = tuple(place[each] for each in variable.owner.inputs)
        return variable.owner.op, variable.owner.outputs.index(variable), inputs, variable.type
    if variable in data:
        return data[variable]
    if isinstance(variable, Constant):
        return "constant", variable.type, _bytes(variable.data)
    if isinstance(variable, SharedVariable):
        value = variable.get_value(borrow=True)
        # the state of a generator is no part of a density
        same = type(value) if isinstance(value, np.random.Generator) else _bytes(value)
        return "shared", variable.name, variable.type, same
    return variable.name, variable.type


def _shape(variable: Any) -> Hashable:
    return "data", variable.name, variable.type, variable.get_value(borrow=True).shape


def _bytes(value: Any) -> Hashable:
    if isinstance(value, np.ndarray | np.generic):
        return value.shape, value.tobytes()
    return repr(value)
