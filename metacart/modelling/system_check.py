"""What is wrong with a question to a system, whatever its evidence, and the priors it takes."""

from __future__ import annotations

from collections.abc import Iterator

from metacart.errors import Fault, InputError, collected, nearest
from metacart.modelling.system import System
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec

__all__ = ["system_faults", "system_priors"]


def system_faults(spec: ModelSpec, system: System) -> list[Fault]:
    """Return what a spec asks of a system that it does not have."""
    faults = [*_refused(spec, system)]
    with collected(faults):
        system_priors(spec, system)
    return faults


def _refused(spec: ModelSpec, system: System) -> Iterator[Fault]:
    with_it = f"with the {system.name} likelihood"
    if spec.scale not in (None, *system.scales):
        yield Fault("scale", f"'{spec.scale}' {with_it}", ", ".join(system.scales))
    if spec.random_effects not in system.random_effects:
        allowed = system.random_effects
        yield Fault(
            "random_effects",
            f"'{spec.random_effects}' {with_it}",
            ", ".join(allowed),
            f'random_effects = "{allowed[0]}"',
        )
    for key, value in (("within", spec.within), ("tau_by", spec.tau_by)):
        if value is not None:
            others = "no such key, or binomial, normal or two_arm"
            yield Fault(key, f"'{value}' {with_it}", others, f"leave {key} out")
    if spec.moderators:
        names = ", ".join(spec.moderators)
        yield Fault(
            "moderators",
            f"{names} {with_it}, which has several means",
            "no moderators",
            "`include` to choose the arms, or each outcome in a question of its own",
        )
    if spec.thresholds:
        yield Fault(
            "thresholds",
            f"{', '.join(f'{each:g}' for each in spec.thresholds)} {with_it}, which has several "
            "means",
            "no such key",
            system.instead,
        )


def system_priors(spec: ModelSpec, system: System) -> dict[str, Prior]:
    """Return the prior of each parameter, those of the spec before the defaults.

    Raises
    ------
    InputError
        For an unknown parameter, and for a prior that cannot be read or lives elsewhere.
    """
    known = system.parameters
    faults = [
        Fault(
            f"priors.{name}", "no parameter of this model", ", ".join(known), nearest(name, known)
        )
        for name in spec.priors
        if name not in known
    ]
    priors: dict[str, Prior] = {}
    for name, own in known.items():
        place, text = f"priors.{name}", spec.priors.get(name, own.prior)
        with collected(faults):
            priors[name] = parse_prior(text, support=own.support, parameter=name, place=place)
    if faults:
        raise InputError(faults)
    return priors
