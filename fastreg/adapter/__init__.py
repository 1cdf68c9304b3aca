"""The only door by which tests reach the kernels: their verbs as functions of NumPy arrays.

Not public: nothing in the package imports it, and it changes with the kernels. Each module stands for one of the
central types and allocates what its verbs write to; arrays are C-ordered float64, columns and rows are listed as int32.
"""
from contextlib import contextmanager

from fastreg.kernels.design import set_parallel_work


@contextmanager
def parallel_work(elements):
    """Start threads from so many elements on, inside: 0 makes small problems take the paths of large ones."""
    before = set_parallel_work(elements)
    try:
        yield
    finally:
        set_parallel_work(before)
