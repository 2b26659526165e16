"""What each study and the pooled mean would be if the spread between studies were known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.density import Marginal
from metacart.inference.estimands import design_rows, make_draws
from metacart.inference.given_tau import GivenTau, draw_given_tau, moments_given_tau
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import attribute, design_of, evidence_of, group_of, spec_of
from metacart.modelling.build import free_parameters
from metacart.modelling.design import scale_of
from metacart.modelling.imputation import gap_names
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.modelling.priors import resolve_priors

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["conditional_means", "one_tau", "view_of"]

Array = NDArray[np.float64]
_POINTS = 61
_DRAWS = 500  # at each of them
_WEIGHTED = 4000  # where those of the fit serve all of them
_LEAST, _MOST = 1e-3, 0.995  # of the largest tau, and the quantile of its posterior that it is
_ROUNDS, _FAR = 12, 50.0
_BENDS = 5  # degree of the polynomial of a log variance
_KNOTS = np.array([0.0, 0.1, 0.2, 0.35, 0.6, 1.0])  # of the splines of a mean


@named_options
@of_one_mean
def conditional_means(fit: xr.DataTree, *, likelihoods: Likelihoods | None = None) -> pd.DataFrame:
    """Return the means of mu and of each study's effect given tau, along tau.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, with one tau.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.

    Returns
    -------
    DataFrame
        For each of 61 values of ``tau``, evenly spaced from almost 0 to the 99.5 % quantile of its
        posterior, a row ``mu`` and a row for each finding: ``row``, ``study``, ``label``, ``mean``
        and ``sd`` of the posterior given tau, on the model scale, ``mcse`` of the mean, and
        ``value``, the mean on the natural scale. With moderators mu stands at their reference, each
        finding at its own values.

    Raises
    ------
    InputError
        For a fit without study effects, or with a tau that differs by level.

    Notes
    -----
    E[theta | tau] says how much each estimate owes to the others: at a tau of 0 all are one, as tau
    grows each goes to what it would be alone (DuMouchel 1994; Röver 2020). At each tau 500 draws
    of the exact engine, however likely that tau is; a regression along tau by cubic splines takes
    their noise away. Of a fit that imputes moderators 4,000 of its own draws are weighted at each
    tau by how much likelier it makes them, and their means smoothed by the same splines. Of a
    transplant question with two readings they are those of the naive one, which is on the scale of
    what was printed.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.conditional_means(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    one_tau(fit)
    design = design_of(fit)
    at, means, spreads, errors = _moments(fit, likelihoods)
    evidence = evidence_of(fit)
    studies = evidence["study"].astype(str).tolist()
    labels = evidence["label"].tolist() if "label" in evidence else studies
    labels = [
        label if isinstance(label, str) else study
        for label, study in zip(labels, studies, strict=True)
    ]
    names = ["mu", *map(str, design["finding"].to_numpy().tolist())]
    table = pd.DataFrame(
        {
            "tau": np.repeat(at, len(names)),
            "row": names * len(at),
            "study": ["", *studies] * len(at),
            "label": ["", *labels] * len(at),
            "mean": means.ravel(),
            "sd": spreads.ravel(),
            "mcse": errors.ravel(),
        }
    )
    return table.assign(value=scale_of(design).inverse(table["mean"].to_numpy()))


def one_tau(fit: xr.DataTree) -> None:
    """Refuse a fit that has no tau, or several."""
    spec = spec_of(fit)
    if spec.random_effects == "none":
        found, hint = "a fit without study effects has no tau", 'random_effects = "normal"'
    elif spec.tau_by:
        found, hint = f'tau_by = "{spec.tau_by}": a tau for each level', "heterogeneity"
    else:
        return
    raise InputError(Fault("fit", found, "a fit with one tau", hint))


def _moments(
    fit: xr.DataTree, likelihoods: Likelihoods | None
) -> tuple[Array, Array, Array, Array]:
    """Return values of tau, and the means, SDs and errors (tau, 1 + findings) given each."""
    spec, design, view = spec_of(fit), design_of(fit), view_of(fit)
    sample, seed = group_of(at_kept_draws(fit), view), int(attribute(fit, "seed"))
    own = make_draws(sample, spec, design, seed)
    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    if view == "naive" and "bias" in free_parameters(design, likelihood):
        design = design.assign(biased=0.0 * design["biased"])
    target = Marginal(spec, design, likelihood, resolve_priors(spec, design, likelihood))
    most = float(np.quantile(own.tau, _MOST))
    at = np.linspace(0.0, most, _POINTS)
    at[0] = _LEAST * most  # at 0 itself a density in log tau has no height
    if gap_names(design):
        step = max(1, own.mu.size // _WEIGHTED)
        names = ["mu", *(name for name in target.names if name in sample and name != "mu")]
        draws = {name: sample[name].to_numpy().reshape(-1)[::step] for name in names}
        linear = own.linear(design_rows(design, sample))
        linear = linear.reshape(-1, linear.shape[-1])[::step]
        means, spreads, errors = moments_given_tau(target, draws, linear, at, seed=seed)
        rows = _basis(at / most)  # study effects are drawn anew at each tau
        return at, rows @ np.linalg.pinv(rows) @ means, spreads, errors
    drawn = draw_given_tau(target, at, draws=_DRAWS, rng=np.random.default_rng([seed, 4]))
    return _smoothed(drawn, inside=bool(spec.within))


def view_of(fit: xr.DataTree) -> str:
    """Return the group of draws that is on the scale of what was printed."""
    return "naive" if "naive" in fit.children else "posterior"


def _smoothed(draws: GivenTau, *, inside: bool) -> tuple[Array, Array, Array, Array]:
    """Return values of tau, and the means, SDs and errors (tau, 1 + findings) given each."""
    share = draws.tau / draws.tau.max()
    at = np.linspace(float(share.min()), 1.0, _POINTS)
    rows, grid = _basis(share), _basis(at)
    inverse = np.linalg.pinv(rows.T @ rows)
    linear = np.column_stack([draws.mu, draws.linear])
    means = grid @ (inverse @ (rows.T @ linear))
    if inside:  # findings have effects of their own, also where tau is 0
        means[:, 1:] = grid @ (inverse @ (rows.T @ draws.theta))
    else:
        # effects are 0 where tau is: their SD grows as tau does, their mean as its square
        away, own = (draws.theta - draws.linear) / share[:, None], share[:, None] * rows
        means[:, 1:] += at[:, None] ** 2 * grid @ np.linalg.solve(own.T @ own, own.T @ away)
    seen = np.column_stack([draws.mu, draws.theta])
    squares = (seen - np.column_stack([np.interp(share, at, each) for each in means.T])) ** 2
    spreads = _spreads(squares, share, at)
    leverage = np.sqrt(np.einsum("gi,ij,gj->g", grid, inverse, grid) / draws.ess)[:, None]
    return draws.tau.max() * at, means, spreads, np.asarray(leverage * spreads)


def _basis(share: Array) -> Array:
    """Return cubic splines at shares of the largest tau (values, splines)."""
    from scipy.interpolate import BSpline

    knots = np.concatenate([np.zeros(3), _KNOTS, np.ones(3)])
    return np.asarray(BSpline.design_matrix(share, knots, 3).toarray())


def _spreads(squares: Array, share: Array, at: Array) -> Array:
    """Return SDs on a grid from squared residuals: a gamma regression of them with a log link."""
    rows, grid = (np.polynomial.legendre.legvander(2.0 * x - 1.0, _BENDS) for x in (share, at))
    inverse = np.linalg.pinv(rows)
    coefficients = np.zeros((rows.shape[1], squares.shape[1]))
    level = np.log(squares.mean(axis=0))
    for _ in range(_ROUNDS):
        ratio = squares / np.exp(level + rows @ coefficients)
        coefficients += inverse @ np.clip(ratio - 1.0, -1.0, _FAR)
    return np.asarray(np.exp(0.5 * (level + grid @ coefficients)))
