"""How far X travels: the functions of the package that one LassoCV.fit hands it to, or the Problem that holds it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import fastreg
from fastreg import LassoCV
from fastreg.problem import Problem

ROOT = Path(fastreg.__file__).parent
VARIADIC = 0x04, 0x08  # flags of a code object that has *args, **kwargs


def arguments(frame):
    """What a function was called with, itself as a method's self left out, *args and **kwargs one by one."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + sum(bool(code.co_flags & flag) for flag in VARIADIC)
    for name in code.co_varnames[:count]:
        value = frame.f_locals[name]
        if name != "self":
            yield from value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]


def stops(fit, shape):
    """The functions of the package that X or a Problem passes through while `fit` runs, in the order of their calls.

    Passing through is to be called with an array, dense or sparse, of the shape of X or with a Problem among the
    arguments; or to call a function so, which finds those who take it from a field of self and hand it on. A question
    asked of the Problem itself (a method of it) is no stop, unless that hands X on.
    """
    found = {}

    def own(frame):
        return frame is not None and frame.f_code.co_filename.startswith(str(ROOT))

    def add(frame):
        code = frame.f_code
        found[f"{Path(code.co_filename).relative_to(ROOT)}: {code.co_qualname}"] = None

    def watch(frame, event, _):
        if event != "call" or not own(frame):
            return
        if any(isinstance(value, Problem) or np.shape(value) == shape for value in arguments(frame)
               if isinstance(value, Problem) or hasattr(value, "dtype")):  # fmt: skip
            caller = frame.f_back
            while own(caller) and caller.f_code.co_name.startswith("<"):   # a comprehension belongs to its function
                caller = caller.f_back
            if own(caller):
                add(caller)
            add(frame)

    sys.setprofile(watch)
    try:
        fit()
    finally:
        sys.setprofile(None)
    return list(found)


# Sparse X is looked at by nine functions more before it is a Problem: its indices could lie anywhere.
@pytest.mark.parametrize(
    ("mode", "store", "most"),
    [
        ("known", np.ascontiguousarray, 15),
        ("apart", np.ascontiguousarray, 14),
        ("lockstep", np.asfortranarray, 13),
        ("lockstep", sp.csr_array, 22),
    ],
    ids=["known", "apart", "lockstep", "lockstep of sparse X"],
    indirect=["mode"],
)
def test_x_passes_through_few_functions(mode, store, most, rng):
    """30 stops were counted by hand, and 23 to 28 this way, when X went with its ten options from hand to hand."""
    X = rng.standard_normal((70, 23)) * (rng.random((70, 23)) < 0.5)
    y = X[:, 0] + rng.standard_normal(70)
    X = store(X)
    model = LassoCV(alphas=5, n_jobs=1, n_threads=1)           # one thread: it alone is watched
    found = stops(lambda: model.fit(X, y), X.shape)
    assert found[0].endswith("CVBase.fit") and "design.py: as_design" in found
    assert len(found) <= most, "\n".join(found)
