"""Ridge regression with limits on its coefficients, by the elastic net's engine."""
from dataclasses import replace

import numpy as np

from fastreg.problem import Problem, Spec
from fastreg.solvers.path import solve_path
from fastreg.solvers.ridge.certificate import certify, excused
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.solution import BY_LIMIT, BY_ROUNDING, CERTIFIED

# Rounds of the engine, where nothing else is asked for.
ROUNDS = 1000


def limited(problem, tol, max_iter):
    """One alpha and one scale of targets at a time, until rounding allows no more.

    What the engine's sums of products lose where columns have a high level in common is got back from X itself, if
    small."""
    n_targets, most = len(problem.targets), max_iter or ROUNDS
    coef, rounds = np.empty((n_targets, problem.p)), np.zeros(n_targets, dtype=int)
    problem.measure()
    limits = [np.broadcast_to(np.asarray(limit, dtype=np.float64), problem.p)
              for limit in (problem.penalty.lower, problem.penalty.upper)]
    lower, upper = (problem.units.down(np.tile(limit[:, None], n_targets)).T for limit in limits)
    groups = np.stack([problem.given, problem.units.exponent], axis=1)
    for alpha, exponent in np.unique(groups, axis=0):
        here = np.flatnonzero((problem.given == alpha) & (problem.units.exponent == exponent))
        penalty = replace(problem.penalty, l1_ratio=0.0, lower=lower[here[0]], upper=upper[here[0]])
        of_group = Problem.of(problem.X, problem.Y[:, here], penalty, weights=problem.weights,
                              fit_intercept=problem.fit_intercept, n_threads=problem.n_threads)
        spec = Spec(np.array([alpha / problem.weights.total]), tol=0.0, max_iter=most)
        found = solve_path(of_group, spec)
        coef[here], rounds[here] = found.dense(), found.n_iters[0]
    certificate = certify(problem, coef, limits=(lower, upper))
    done = _reached(coef, certificate, tol)
    if not done.all() and problem.small:
        polished = coef.copy()
        for t in np.flatnonzero(~done):
            polished[t] = bounded(problem, t, lower[t], upper[t])
        better = certify(problem, polished, limits=(lower, upper)).residual < certificate.residual
        coef[better] = polished[better]
        certificate = certify(problem, coef, limits=(lower, upper))
        done = _reached(coef, certificate, tol)
    stopped = np.where(done, CERTIFIED, np.where(rounds >= most, BY_LIMIT, BY_ROUNDING))
    return problem.solution(coef, problem.design.means, "active_set", certificate.bound, n_iter=rounds,
                            stopped=stopped)


def _reached(coef, certificate, tol):
    """Whether a bound is what tol promises, or rounding keeps it from that."""
    done = certificate.bound <= tol * np.linalg.norm(coef, axis=1)
    return done if done.all() else done | excused(coef, certificate)


def bounded(problem, t, lower, upper):
    """Coefficients of target t within limits, by orthogonal decompositions of the columns between theirs."""
    from scipy.optimize import lsq_linear  # rarely needed, and slow to import

    F, _ = problem.diagonal(problem.design.norms)
    moves = np.flatnonzero(np.isfinite(F) & (problem.design.norms > 0) & (lower < upper))
    coef = np.zeros(problem.p)
    if moves.size:
        damping = np.sqrt(problem.alphas[t] * F[moves])
        rows = np.vstack([problem.centred_rows()[:, moves], np.diag(damping)])
        scale = np.linalg.norm(rows, axis=0)         # digits are lost to dependence alone, not to units
        right = np.concatenate([problem.targets[t], np.zeros(len(moves))])
        found = lsq_linear(rows / scale, right, (lower[moves] * scale, upper[moves] * scale), method="bvls", tol=EPS,
                           max_iter=10 * len(moves) + 100)
        coef[moves] = np.clip(found.x / scale, lower[moves], upper[moves])
    return coef
