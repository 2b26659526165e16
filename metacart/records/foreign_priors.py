"""Priors as objects of other libraries, read as the text that a model file would hold.

By their shape, not their class: nothing is imported to read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from metacart.errors import Fault, InputError, nearest, shown
from metacart.records.prior_forms import PRIORS
from metacart.records.priors import Prior

__all__ = ["prior_text"]


def prior_text(value: object, *, place: str = "") -> str:
    """Return a prior as text.

    Parameters
    ----------
    value : str, Prior, a distribution of PreliZ, or a frozen one of ``scipy.stats``
        The prior. Text is returned as it is, whatever it says.
    place : str
        Where it stands, for the message.

    Returns
    -------
    str

    Raises
    ------
    InputError
        For another kind of object, a family that the grammar does not have, and a distribution
        without its numbers.

    Examples
    --------
    >>> from scipy import stats
    >>> prior_text(stats.halfnorm(scale=0.5))
    'HalfNormal(0.5)'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Prior):
        return _written(value.name, value.arguments)
    if hasattr(value, "dist") and hasattr(value, "args") and hasattr(value, "kwds"):
        return _of_scipy(value, place)
    if hasattr(value, "param_names") and hasattr(value, "is_frozen"):
        return _of_preliz(value, place)
    allowed = 'a prior in quotes, such as "HalfNormal(1)"'
    if value is None or isinstance(value, bool | int | float | dict | list | tuple):
        raise InputError(Fault(place, shown(value), allowed))
    kind = type(value)
    found = f"an object {kind.__name__} of {kind.__module__.partition('.')[0]}"
    raise InputError(Fault(place, found, f"{allowed}, or a distribution of PreliZ or scipy"))


def _written(name: str, numbers: Iterable[float]) -> str:
    return f"{name}({', '.join(f'{float(number):.12g}' for number in numbers)})"


# --- PreliZ: the families and parameters have PyMC's names --------------------------------------


def _of_preliz(value: Any, place: str) -> str:
    name = type(value).__name__
    if name not in PRIORS:
        raise _unknown(name, "PreliZ", place)
    form = PRIORS[name]
    # whatever parametrisation it was written in, it knows the others
    numbers: list[Any] = [getattr(value, parameter, None) for parameter in form.parameters]
    if any(number is None for number in numbers):
        found = f"the {name} of PreliZ has no numbers yet"
        raise InputError(Fault(place, found, "a distribution with its numbers", form.example))
    return _written(name, numbers)


def _unknown(name: str, library: str, place: str) -> InputError:
    found = f"the {name} of {library} is not known here"
    return InputError(Fault(place, found, ", ".join(PRIORS), nearest(name, PRIORS)))


# --- scipy: shapes, loc and scale ---------------------------------------------------------------

_Numbers = tuple[float, ...]
# from (loc, scale, *shapes) to the numbers of the family
_SCIPY: dict[str, tuple[str, Callable[..., _Numbers]]] = {
    "norm": ("Normal", lambda loc, scale: (loc, scale)),
    "t": ("StudentT", lambda loc, scale, nu: (nu, loc, scale)),
    "cauchy": ("Cauchy", lambda loc, scale: (loc, scale)),
    "laplace": ("Laplace", lambda loc, scale: (loc, scale)),
    "logistic": ("Logistic", lambda loc, scale: (loc, scale)),
    "truncnorm": (
        "TruncatedNormal",
        lambda loc, scale, a, b: (loc, scale, loc + a * scale, loc + b * scale),
    ),
    "uniform": ("Uniform", lambda loc, scale: (loc, loc + scale)),
    "halfnorm": ("HalfNormal", lambda _, scale: (scale,)),
    "halfcauchy": ("HalfCauchy", lambda _, scale: (scale,)),
    "expon": ("Exponential", lambda _, scale: (1 / scale,)),
    "gamma": ("Gamma", lambda _, scale, a: (a, 1 / scale)),
    "invgamma": ("InverseGamma", lambda _, scale, a: (a, scale)),
    "lognorm": ("LogNormal", lambda _, scale, s: (math.log(scale), s)),
    "weibull_min": ("Weibull", lambda _, scale, c: (c, scale)),
    "beta": ("Beta", lambda _loc, _scale, a, b: (a, b)),
}
_SHIFTED = ("norm", "t", "cauchy", "laplace", "logistic", "truncnorm", "uniform")


def _of_scipy(value: Any, place: str) -> str:
    own = str(value.dist.name)
    if own not in _SCIPY:
        known = nearest(own, _SCIPY)
        found = f"the {own} of scipy is not known here"
        raise InputError(Fault(place, found, ", ".join(_SCIPY), known))
    name, numbers_of = _SCIPY[own]
    shapes, loc, scale = value.dist._parse_args(*value.args, **value.kwds)
    if (own not in _SHIFTED and loc != 0) or (own == "beta" and scale != 1):
        found = f"the {own} of scipy with loc = {loc:g} and scale = {scale:g}"
        allowed = f"a {name} from 0" + (" to 1" if own == "beta" else "")
        raise InputError(Fault(place, found, allowed, PRIORS[name].example))
    return _written(name, numbers_of(loc, scale, *shapes))
