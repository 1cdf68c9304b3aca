"""Which solver suits a problem: the engine, or Newton's method by ridge regressions."""
from functools import partial

from fastreg.solvers.path import PathSolver, solve_path
from fastreg.solvers.reweighted import Reweighted, serves


def solver_of(problem, spec, xy=None):
    """The solver for problem and spec: see PathSolver."""
    return Reweighted(problem, spec) if serves(problem, spec) else PathSolver(problem, spec, xy)


solve_suited = partial(solve_path, make=solver_of)
