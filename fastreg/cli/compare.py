"""scikit-learn on the same path: the loosest `tol` whose answers reach the target gap, within a time limit.

It runs in a process of its own, because a solver inside a compiled loop cannot be stopped in any other way.
"""

import math
import multiprocessing
import signal
import time
import warnings
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression, enet_path
from threadpoolctl import threadpool_limits

from fastreg.progress import Bar
from fastreg.referee import Referee

TOLS = tuple(10.0**-k for k in range(3, 13))
START_SECONDS = 60.0
STOP_SECONDS = 5.0


class PeerResult(NamedTuple):
    """How scikit-learn fared.

    Attributes
    ----------
    seconds : float or None
        Time of the run that reached the target; None if none did.
    gap : float
        Worst relative gap of the last run that finished.
    tol : float or None
        Its `tol`; None if no run finished.
    limit : float
        Seconds it was given for all runs together.
    problem : str
        Why it failed, empty if it did not.
    """

    seconds: float | None
    gap: float
    tol: float | None
    limit: float
    problem: str = ""


def best_time(run):
    """Answer and best time of a run, repeated only while it is short enough for noise to matter.

    Parameters
    ----------
    run : callable
        Takes nothing; the answer of its first call is returned.

    Returns
    -------
    answer : object
        What the first call returned.
    seconds : float
        The shortest of one to three calls.
    """
    start = time.perf_counter()
    answer = run()
    best = time.perf_counter() - start
    for _ in range(2 if best < 0.5 else 0):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return answer, best


def time_limit(seconds):
    """Seconds scikit-learn gets, given fastreg's time.

    Parameters
    ----------
    seconds : float
        fastreg's time.

    Returns
    -------
    float
        Half a minute, or five times fastreg's time if that is longer.
    """
    return max(30.0, 5 * seconds)


def run_scikit_learn(data, alphas, l1_ratio, target, threads, limit):
    """Time scikit-learn's path at the loosest tolerance that reaches the target gap.

    Parameters
    ----------
    data : Data
        X, y and the loss.
    alphas : ndarray of shape (n_alphas,)
        Penalty values, decreasing.
    l1_ratio : float
        Share of the l1 penalty.
    target : float
        Worst relative gap to reach.
    threads : int or None
        Threads of BLAS and OpenMP; None leaves the default.
    limit : float
        Seconds for all tolerances together; the start of the process is not counted.

    Returns
    -------
    PeerResult
        The time, or how far it came.
    """
    if data.model == "poisson":
        return PeerResult(None, np.inf, None, limit, "it has no Poisson regression with an L1 penalty")
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, data.X, data.y, np.asarray(alphas), l1_ratio, data.model, target, threads)
    process = context.Process(target=_climb, args=arguments, daemon=True)
    try:
        process.start()
    except OSError as error:
        return PeerResult(None, np.inf, None, limit, f"its process did not start: {error.strerror or error}")
    sender.close()
    bar = Bar("scikit-learn", "seconds at most", delay=1.0, brief=True)
    try:
        return _listen(receiver, target, limit, bar)
    finally:
        bar.close()
        process.terminate()
        process.join(STOP_SECONDS)
        receiver.close()


def _listen(receiver, target, limit, bar):
    """Collect (tol, seconds, gap) from the other process until one reaches the target or the time is over."""
    gap, tol = np.inf, None
    try:
        if not receiver.poll(START_SECONDS):
            return PeerResult(None, gap, tol, limit, "its process did not start")
        receiver.recv()
        deadline = time.monotonic() + limit
        while _hears(receiver, deadline, limit, bar):
            message = receiver.recv()
            if isinstance(message, str):
                return PeerResult(None, gap, tol, limit, message)
            tol, seconds, gap = message
            if gap <= target:
                return PeerResult(seconds, gap, tol, limit)
    except EOFError:
        problem = f"no tolerance down to {TOLS[-1]:g} reached the gap" if tol == TOLS[-1] else "its process ended early"
        return PeerResult(None, gap, tol, limit, problem)
    return PeerResult(None, gap, tol, limit)


def _hears(receiver, deadline, limit, bar):
    """Whether a message comes before the deadline, while the bar goes on with the time."""
    while (left := deadline - time.monotonic()) > 0:
        if receiver.poll(min(left, bar.PERIOD)):
            return True
        bar(math.floor(limit - left), math.ceil(limit))
    return receiver.poll(0)


def _climb(sender, X, y, alphas, l1_ratio, model, target, threads):
    """The other process: tighten `tol` until the target gap is reached, and send every rung."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it stops this process itself
    warnings.simplefilter("ignore")
    referee = Referee(X, y, l1_ratio, model)
    path = scikit_learn_path if model == "quadratic" else scikit_learn_logistic
    sender.send("ready")
    try:
        X = sparse.csc_matrix(X, dtype=np.float64) if sparse.issparse(X) else X
        with threadpool_limits(threads) if threads else nullcontext():
            for tol in TOLS:
                (coefs, intercepts), seconds = best_time(lambda tol=tol: path(X, y, alphas, l1_ratio, tol))
                gap = max(verdict.gap for verdict in referee.judge_path(coefs, intercepts, alphas))
                sender.send((tol, seconds, gap))
                if gap <= target:
                    return
    except Exception as error:  # whatever it is, it is to be told, not to be hidden behind a silent end
        sender.send(" ".join(f"{type(error).__name__}: {error}".split()))


def scikit_learn_path(X, y, alphas, l1_ratio, tol):
    """scikit-learn's path with an intercept: dense X is centred once, sparse X by an offset in its solver.

    Parameters
    ----------
    X : ndarray or CSC matrix of shape (n_samples, n_features)
        The data; sparse in float64.
    y : ndarray of shape (n_samples,)
        The target.
    alphas : ndarray of shape (n_alphas,)
        Penalty values, decreasing.
    l1_ratio : float
        Share of the l1 penalty.
    tol : float
        scikit-learn's tolerance.

    Returns
    -------
    coefs : ndarray of shape (n_features, n_alphas)
        Coefficients.
    intercepts : ndarray of shape (n_alphas,)
        Intercepts.
    """
    x_mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    params = {"l1_ratio": l1_ratio, "alphas": alphas, "tol": tol, "max_iter": 100_000, "check_input": False}
    if sparse.issparse(X):
        params |= {"precompute": False, "X_offset": x_mean, "X_scale": np.ones(X.shape[1])}
    else:
        X = np.subtract(X, x_mean, dtype=np.float64, order="F")
        params |= {"precompute": "auto", "copy_X": False}
    coefs = enet_path(X, y - y.mean(), **params)[1]
    return coefs, y.mean() - x_mean @ coefs


def scikit_learn_logistic(X, y, alphas, l1_ratio, tol):
    """scikit-learn's logistic regressions, each from the one before: saga, which has L1 and a free intercept.

    Parameters
    ----------
    X : ndarray or CSC matrix of shape (n_samples, n_features)
        The data.
    y : ndarray of shape (n_samples,)
        -1 and 1.
    alphas : ndarray of shape (n_alphas,)
        Penalty values, decreasing.
    l1_ratio : float
        Share of the l1 penalty.
    tol : float
        scikit-learn's tolerance.

    Returns
    -------
    coefs : ndarray of shape (n_features, n_alphas)
        Coefficients.
    intercepts : ndarray of shape (n_alphas,)
        Intercepts.
    """
    model = LogisticRegression(solver="saga", l1_ratio=l1_ratio, tol=tol, max_iter=100_000, warm_start=True,
                               random_state=0)
    if model.get_params().get("penalty") == "l2":  # until scikit-learn 1.8
        model.set_params(penalty="elasticnet")
    fits = [model.set_params(C=1 / (alpha * len(y))).fit(X, y) and (model.coef_[0].copy(), model.intercept_[0])
            for alpha in alphas]
    return np.stack([coef for coef, _ in fits], axis=1), np.array([intercept for _, intercept in fits])
