"""The grammar of priors: ``Normal(0, 1.5)`` is read, never evaluated."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options, nearest, refuse_unknown, shown
from metacart.records.named_priors import ELSEWHERE, NAMED, expanded, named_priors_in
from metacart.records.prior_forms import BOUNDS, PRIORS, PriorForm, Support
from metacart.records.prior_limits import no_limits

__all__ = ["PRIORS", "Prior", "PriorForm", "Support", "parse_prior"]

_WORDS = {
    "real": "any number",
    "positive": "numbers above zero",
    "unit": "numbers between 0 and 1",
}


@dataclass(frozen=True)
class Prior:
    """A proper prior: a distribution's name with its numbers.

    Attributes
    ----------
    name : str
        PyMC's name of the distribution, a key of `PRIORS`.
    arguments : tuple of float
        Its parameters, in PyMC's order.

    Examples
    --------
    >>> prior = parse_prior("HalfNormal(0.5)")
    >>> prior.name, prior.arguments, str(prior)
    ('HalfNormal', (0.5,), 'HalfNormal(0.5)')
    """

    name: str
    arguments: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{value:g}' for value in self.arguments)})"

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval on which the prior puts its mass."""
        return PRIORS[self.name].bounds(*self.arguments)

    @cached_property
    def _frozen(self) -> Any:
        return PRIORS[self.name].frozen(*self.arguments)

    def logpdf(self, value: Any) -> NDArray[np.float64]:
        """Log density at `value`, any shape."""
        return np.asarray(self._frozen.logpdf(value), dtype=np.float64)

    def quantile(self, probability: Any) -> NDArray[np.float64]:
        """Quantiles at `probability`, any shape."""
        return np.asarray(self._frozen.ppf(probability), dtype=np.float64)

    def below(self, value: Any) -> NDArray[np.float64]:
        """Probability below `value`, any shape."""
        return np.asarray(self._frozen.cdf(value), dtype=np.float64)

    def draw(self, size: Any, rng: np.random.Generator) -> NDArray[np.float64]:
        """Independent draws of shape `size`."""
        return np.asarray(self._frozen.rvs(size=size, random_state=rng), dtype=np.float64)

    def pymc(self) -> tuple[str, dict[str, np.float64]]:
        """PyMC's distribution name and keyword arguments."""
        # a plain float may be cast to single precision on the way
        values = [np.float64(value) for value in self.arguments]
        return self.name, dict(zip(PRIORS[self.name].parameters, values, strict=True))

    @property
    def location(self) -> str | None:
        """The parameter that moves the whole distribution along; none between bounds."""
        if self.bounds != BOUNDS["real"]:
            return None
        return "alpha" if self.name == "Cauchy" else "mu"

    def scaled(self, factor: float) -> Prior:
        """Return the prior of `factor` times the quantity.

        Raises
        ------
        ValueError
            For a prior between fixed bounds that no scale moves, such as Beta.
        """
        if self.name not in _SCALING:
            raise ValueError(f"{self} cannot be scaled")
        turns = zip(_SCALING[self.name], self.arguments, strict=True)
        return Prior(self.name, tuple(_SCALED[turn](value, factor) for turn, value in turns))


# what becomes of each parameter when the quantity is multiplied
_SCALED: dict[str, Callable[[float, float], float]] = {
    "scale": lambda value, factor: value * factor,
    "rate": lambda value, factor: value / factor,
    "log": lambda value, factor: value + math.log(factor),
    "shape": lambda value, _: value,
}
_SCALING = {
    "Normal": ("scale", "scale"),
    "StudentT": ("shape", "scale", "scale"),
    "Cauchy": ("scale", "scale"),
    "Laplace": ("scale", "scale"),
    "Logistic": ("scale", "scale"),
    "TruncatedNormal": ("scale",) * 4,
    "Uniform": ("scale", "scale"),
    "HalfNormal": ("scale",),
    "HalfStudentT": ("shape", "scale"),
    "HalfCauchy": ("scale",),
    "Exponential": ("rate",),
    "Gamma": ("shape", "rate"),
    "InverseGamma": ("shape", "scale"),
    "LogNormal": ("log", "shape"),
    "Weibull": ("shape", "scale"),
}


_IMPROPER = ("Flat", "HalfFlat")


@named_options
def parse_prior(
    text: object, *, support: Support = "real", parameter: str = "", place: str = ""
) -> Prior:
    """Read a prior as it stands in a paper.

    Parameters
    ----------
    text : str
        A distribution's name with numbers: ``"Normal(0, 1.5)"`` or ``"Normal(mu=0, sigma=1.5)"``;
        or a name of ``named_priors``, such as ``"Turner2015(pain, pharmacological_vs_control)"``,
        of which the explicit prior is returned.
    support : {"real", "positive", "unit"}
        Where the quantity lives: a prior with mass elsewhere is refused.
    parameter : str
        ``"mu"`` or ``"tau"``, for names that hold a prior of both.
    place : str
        Where the text stands, for the message.

    Returns
    -------
    Prior

    Raises
    ------
    InputError
        For an unknown name, a wrong number of arguments, a prior that is improper, if
        only in all but name (see `no_limits`), or the wrong support.

    Examples
    --------
    >>> parse_prior("HalfNormal(1)", support="positive")
    Prior(name='HalfNormal', arguments=(1.0,))
    >>> str(parse_prior("Turner2015(pain, pharmacological_vs_control)"))
    'LogNormal(-0.915, 0.76)'
    """
    refuse_unknown("support", support, tuple(BOUNDS))
    allowed = _examples(support)
    written = shown(text)

    def refuse(found: str, attempt: str = "") -> InputError:
        return InputError(Fault(place, found, ", ".join(allowed), attempt))

    if not isinstance(text, str):
        raise refuse(f"{written} is not text", f'write "{allowed[0]}"')
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        attempt = _repaired(text, support) or f'write "{allowed[0]}"'
        raise refuse(f"{written} cannot be read", attempt) from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        attempt = _repaired(text, support) or f'write "{allowed[0]}"'
        raise refuse(f"{written} is not a distribution with numbers", attempt)
    name = call.func.id
    if name in NAMED:
        named = expanded(named_priors_in(call, place=place), parameter=parameter, place=place)
        return parse_prior(named.prior, support=support, place=place)
    if name in ELSEWHERE:
        raise refuse(f"{name} {ELSEWHERE[name]}")
    if name in _IMPROPER:
        proper = allowed[0].partition("(")[0]
        raise refuse(f"{name} is improper: it is no distribution", f"a wide {proper}")
    if name not in PRIORS:
        raise refuse(
            f"the distribution {shown(name)} is not known", nearest(name, [*PRIORS, *NAMED])
        )
    form = PRIORS[name]
    values: dict[str, float] = {}
    pairs = [*zip(form.parameters, call.args, strict=False)]
    pairs += [(word.arg or "**", word.value) for word in call.keywords]
    if len(call.args) > len(form.parameters):
        attempt = _repaired(text, support) or f"such as {form.example}"
        raise refuse(f"{written} has {len(call.args)} numbers", attempt)
    for parameter, node in pairs:
        if parameter not in form.parameters or parameter in values:
            known = ", ".join(form.parameters)
            raise refuse(f"{written} has the parameter '{parameter}'", f"{name} has {known}")
        values[parameter] = _number(node, written, refuse)
    missing = [parameter for parameter in form.parameters if parameter not in values]
    if missing:
        raise refuse(f"{written} lacks {', '.join(missing)}", f"such as {form.example}")
    for parameter in form.positive:
        if values[parameter] <= 0:
            raise refuse(f"{written}: {parameter} is {values[parameter]:g}", f"{parameter} above 0")
    arguments = tuple(values[parameter] for parameter in form.parameters)
    prior = Prior(name, arguments)
    if prior.bounds[0] >= prior.bounds[1]:
        raise refuse(
            f"{written}: its lower bound is not below its upper bound", f"such as {form.example}"
        )
    if not _within(prior.bounds, BOUNDS[support]):
        low, high = prior.bounds
        raise refuse(
            f"{written} reaches from {low:g} to {high:g}, but this quantity takes "
            f"{_WORDS[support]}",
            f"such as {allowed[0]}",
        )
    if limits := no_limits(prior):
        raise refuse(f"{written}: {limits}: improper in all but name", f"such as {allowed[0]}")
    return prior


def _examples(support: Support) -> list[str]:
    """Return an example of each form that fits; first those that fill the support."""
    fitting = [form for form in PRIORS.values() if _within(_example_bounds(form), BOUNDS[support])]
    fitting.sort(key=lambda form: _example_bounds(form) != BOUNDS[support])
    return [form.example for form in fitting]


# what a text may hold that Python does not read, and what was meant
_REPAIRS = (
    (re.compile("[−–]"), "-", "with an ordinary minus"),
    (re.compile(r"(?<=\d),(?=\d)"), ".", "with a decimal point"),
    (re.compile(r"\b\w+\s*=\s*"), "", "the numbers all with their names, or all without"),
    (re.compile(r";"), ",", "with a comma"),
    (re.compile(r"(?<!\))$"), ")", "with a closing bracket"),
)


def _repaired(text: str, support: Support) -> str:
    """Return the prior that was meant, where one slip alone stands in its way."""
    for pattern, right, words in _REPAIRS:
        repaired = pattern.sub(right, text)
        if repaired == text:
            continue
        try:
            parse_prior(repaired, support=support)
        except InputError:
            continue
        return f"write {repaired.strip()}, {words}"
    return ""


_SMALLEST, _LARGEST = 1e-12, 1e12


def _number(node: ast.expr, written: str, refuse: Callable[[str, str], InputError]) -> float:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1 if isinstance(node.op, ast.USub) else 1
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise refuse(f"{written} holds something that is not a finite number", "numbers alone")
    if value and not _SMALLEST <= abs(value) <= _LARGEST:
        raise refuse(
            f"{written} holds a number too large or too small to compute with",
            f"0, or a size from {_SMALLEST:g} to {_LARGEST:g}",
        )
    return float(sign * value)


def _within(inner: tuple[float, float], outer: tuple[float, float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _example_bounds(form: PriorForm) -> tuple[float, float]:
    numbers = [float(n) for n in form.example[form.example.index("(") + 1 : -1].split(",")]
    return form.bounds(*numbers)
