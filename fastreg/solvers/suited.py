"""Paths by the solver that suits a problem: the engine, or Newton's method for L2 penalties alone."""
from fastreg.solvers.path import PathSolver, solve_path
from fastreg.solvers.reweighted import Reweighted
from fastreg.solvers.softmax import Softmax


def suited(by_ridge, datafit):
    """The class of the solver that suits, by what `Problem.by_ridge` says."""
    if not by_ridge:
        return PathSolver
    return Softmax if datafit.coupled else Reweighted


def solve_suited(problem, spec, warm=None):
    """Solutions for decreasing alphas: see `solve_path`."""
    return solve_path(problem, spec, warm=warm, make=suited(problem.by_ridge(spec), problem.datafit))
