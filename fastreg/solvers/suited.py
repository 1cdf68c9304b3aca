"""Paths by the solver that suits a problem: the engine, or Newton's method for L2 penalties alone, or for none."""
from fastreg.solvers.free_softmax import FreeSoftmax
from fastreg.solvers.path import PathSolver, solve_path
from fastreg.solvers.reweighted import Reweighted
from fastreg.solvers.softmax import Softmax


def suited(problem, spec):
    """The class of the solver that suits a Problem at the alphas of a Spec."""
    if problem.frees_classes(1.0 if spec.counted else spec.alphas):
        return FreeSoftmax
    if not problem.by_ridge(spec):
        return PathSolver
    return Softmax if problem.datafit.coupled else Reweighted


def solve_suited(problem, spec, warm=None):
    """Solutions for decreasing alphas: see `solve_path`."""
    return solve_path(problem, spec, warm=warm, make=suited(problem, spec))
