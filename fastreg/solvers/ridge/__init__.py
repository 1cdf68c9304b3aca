"""Ridge regression: closed forms, one file for each way to solve it.

``problem`` and ``solution`` are what all of them take and hand back, ``certificate`` says how far coefficients can be
from the exact ones. Of single fits, ``choose`` asks ``cholesky``, ``krylov``, ``orthogonal`` and ``limits``; at many
penalties, ``decompose`` makes the ``spectrum`` that ``leave_one_out`` and ``folds`` read.
"""
