"""Paths by the solver that suits a problem: the engine, or Newton's method for L2 penalties alone, or for none."""
from fastreg.solvers.free_softmax import FreeSoftmax
from fastreg.solvers.path import PathSolver, solve_path
from fastreg.solvers.quasi_newton import QuasiNewton
from fastreg.solvers.reweighted import Reweighted

SOLVERS = {"engine": PathSolver, "rows": Reweighted, "classes": QuasiNewton, "free classes": FreeSoftmax}


def suited(route):
    """The class of the solver that suits, by what `Problem.route` says."""
    return SOLVERS[route]


def solve_suited(problem, spec, warm=None):
    """Solutions for decreasing alphas: see `solve_path`."""
    return solve_path(problem, spec, warm=warm, make=suited(problem.route(spec)))
