"""The triangle R of a QR decomposition of rows that come in blocks."""
from functools import partial

import numpy as np
from scipy.linalg.lapack import dgeqrf

from fastreg.solvers.interruptible import interruptible


def reduced(rows):
    """R (at most square) of these rows, which may be overwritten where they are in Fortran order."""
    if rows.size == 0:                           # LAPACK refuses arrays of nothing
        return np.zeros((0, rows.shape[1]))
    found, _, _, failed = interruptible(partial(dgeqrf, lwork=64 * rows.shape[1], overwrite_a=1), rows)
    if failed:
        raise RuntimeError(f"LAPACK's dgeqrf refused argument {-failed}.")
    return np.triu(found[:min(found.shape)])


def triangle(blocks):
    """R of all blocks of rows, one below the other.

    Columns of targets beside those of X become Q'y: right-hand sides of the triangle of X."""
    R = None
    for block in blocks:
        rows = np.empty((len(block) + (0 if R is None else len(R)), block.shape[1]), order="F")
        rows[len(rows) - len(block):] = block
        if R is not None:
            rows[:len(R)] = R
        R = reduced(rows)
    return R
