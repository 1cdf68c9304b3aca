"""Paths by the solver that suits a problem: the engine, or Newton's method by ridge regressions."""
from fastreg.solvers.path import PathSolver, solve_path
from fastreg.solvers.reweighted import Reweighted


def suited(by_ridge):
    """The class of the solver that suits, by what `Problem.by_ridge` says."""
    return Reweighted if by_ridge else PathSolver


def solve_suited(problem, spec, warm=None):
    """Solutions for decreasing alphas: see `solve_path`."""
    return solve_path(problem, spec, warm=warm, make=suited(problem.by_ridge(spec)))
