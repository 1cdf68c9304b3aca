"""Arrays that hold the same numbers in different ways: any stride, alignment, byte order, index type and storage.

``python -m tests.views 10000`` fits estimators to so many random views and to their copies, in processes of their own,
and says how many answers differ and how many fits fail; a second number is the first seed.
"""

import copy
import subprocess
import sys
import tempfile
import traceback
import warnings

import numpy as np
import scipy.sparse as sp

import fastreg

# ---- dense -----------------------------------------------------------------------------------------------------------


def _unaligned(X):
    """At an odd address, in C order."""
    raw = np.frombuffer(bytearray(1 + X.nbytes), np.uint8)[1:]
    out = raw.view(X.dtype).reshape(X.shape)
    out[...] = X
    return out


def _field(X):
    """Fields of packed records: aligned, but at strides that are no multiples of the item size."""
    out = np.zeros(X.shape, dtype=[("x", X.dtype), ("flag", "i1")])["x"]
    out[...] = X
    return out


def _swapped(X):
    return X.astype(X.dtype.newbyteorder())


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _placed(X, *, order="C", steps=(1, 1), padding=(0, 0)):
    """Inside a larger array of NaN, every so many rows and columns, backwards where the step is negative."""
    shape = [size * abs(step) + more for size, step, more in zip(X.shape, steps, padding)]
    big = np.full(shape, np.nan, dtype=X.dtype, order=order)
    view = big[: X.shape[0] * abs(steps[0]) : abs(steps[0]), : X.shape[1] * abs(steps[1]) : abs(steps[1])]
    view = view[:: int(np.sign(steps[0])), :: int(np.sign(steps[1]))]
    view[...] = X
    return view


DENSE = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "C_padded": lambda X: _placed(X, padding=(1, 2)),
    "F_padded": lambda X: _placed(X, order="F", padding=(3, 1)),
    "C_rows_back": lambda X: _placed(X, steps=(-1, 1)),
    "C_columns_back": lambda X: _placed(X, steps=(1, -1)),
    "F_rows_back": lambda X: _placed(X, order="F", steps=(-1, 1)),
    "F_columns_back": lambda X: _placed(X, order="F", steps=(1, -1)),
    "F_strided": lambda X: _placed(X, order="F", steps=(2, -3)),
    "C_strided": lambda X: _placed(X, steps=(-3, 2)),
    "unaligned": _unaligned,
    "field": _field,
    "swapped": _swapped,
    "read_only": _read_only,
}
# Views that decide what the numbers are: rows or columns are the same, or share memory.
SHARING = {
    "one_row": lambda X: np.broadcast_to(X[:1], X.shape),
    "one_column": lambda X: np.broadcast_to(X[:, :1], X.shape),
    "windows": lambda X: np.lib.stride_tricks.as_strided(
        np.resize(X, sum(X.shape)), X.shape, (X.itemsize, X.itemsize)
    ),
    "windows_back": lambda X: np.lib.stride_tricks.as_strided(
        np.resize(X, sum(X.shape)), X.shape, (X.itemsize, X.itemsize)
    )[::-1, ::-1],
    "rows_overlap": lambda X: np.lib.stride_tricks.as_strided(
        np.resize(X, 2 * X.shape[0] + X.shape[1]), X.shape, (2 * X.itemsize, X.itemsize)
    ),
}


# ---- sparse ----------------------------------------------------------------------------------------------------------
def _every_second(a):
    out = np.zeros(2 * len(a), dtype=a.dtype)[::2]
    out[...] = a
    return out


def _backwards(a):
    return a[::-1].copy()[::-1]


VECTORS = {
    "plain": lambda a: a,
    "strided": _every_second,
    "backwards": _backwards,
    "unaligned": _unaligned,
    "swapped": _swapped,
    "read_only": _read_only,
}


def with_parts(X, **made):
    """CSR or CSC with arrays of its own put in place of data, indices or indptr, past what scipy would check."""
    X = copy.copy(X)
    for name, array in made.items():
        setattr(X, name, array)
    for flag in ("_has_canonical_format", "_has_sorted_indices"):
        X.__dict__.pop(flag, None)
    return X


def _unsorted(X, rng):
    indices, data = X.indices.copy(), X.data.copy()
    for lo, hi in zip(X.indptr[:-1], X.indptr[1:]):
        order = rng.permutation(hi - lo)
        indices[lo:hi], data[lo:hi] = indices[lo:hi][order], data[lo:hi][order]
    return with_parts(X, indices=indices, data=data)


def _duplicated(X):
    """Every entry twice, as a quarter and three quarters: they add up to X."""
    data = np.repeat(X.data, 2) * np.tile(np.array([0.25, 0.75], X.dtype), X.nnz)
    return with_parts(X, data=data, indices=np.repeat(X.indices, 2), indptr=X.indptr * 2)


def _with_tail(X):
    """Arrays longer than what indptr says is used."""
    return with_parts(X, data=np.append(X.data, np.nan).astype(X.dtype), indices=np.append(X.indices, -7))


def _lying(X):
    """Unsorted, with flags that say sorted."""
    X = _unsorted(_duplicated(X), np.random.default_rng(0))
    X.has_canonical_format = True
    return X


COMPRESSED = {
    "plain": lambda X, rng: X,
    "unsorted": _unsorted,
    "duplicates": lambda X, rng: _duplicated(X),
    "unsorted_duplicates": lambda X, rng: _unsorted(_duplicated(X), rng),
    "with_tail": lambda X, rng: _with_tail(X),
    "lying": lambda X, rng: _lying(X),
}
INDEX_TYPES = [np.int32, np.int64, np.uint32, np.int16, np.uint64]
OTHER_FORMATS = [sp.coo_matrix, sp.coo_array, sp.bsr_array, sp.dia_matrix, sp.lil_array, sp.dok_matrix]


def random_sparse(rng, X):
    """X in some sparse storage."""
    if rng.random() < 0.25:
        return OTHER_FORMATS[rng.integers(len(OTHER_FORMATS))](X)
    make = [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array][rng.integers(4)]
    stored = make(X)
    if stored.nnz > 2 and rng.random() < 0.3:  # explicit zeros
        stored = with_parts(stored, data=stored.data * (rng.random(stored.nnz) < 0.7))
    stored = COMPRESSED[rng.choice(list(COMPRESSED))](stored, rng)
    parts = {}
    for name in ("data", "indices", "indptr"):
        part = getattr(stored, name)
        if name != "data" and rng.random() < 0.5:
            part = part.astype(INDEX_TYPES[rng.integers(len(INDEX_TYPES))])
        parts[name] = VECTORS[rng.choice(list(VECTORS))](part)
    flags = {k: v for k, v in stored.__dict__.items() if k.startswith("_has_")}
    out = with_parts(stored, **parts)
    out.__dict__.update(flags)
    return out


# ---- fits on views against fits on copies ----------------------------------------------------------------------------
def _path(function):
    return lambda options: lambda X, y, w: function(X, y, sample_weight=w, **options)


MODELS = [
    (fastreg.Lasso, {"alpha": 0.05, "tol": 1e-12}),
    (fastreg.Lasso, {"alpha": 0.0, "tol": 1e-12}),
    (fastreg.Lasso, {"alpha": 0.02, "tol": 1e-12, "precompute": True}),
    (fastreg.ElasticNet, {"alpha": 0.05, "l1_ratio": 0.5, "tol": 1e-12}),
    (fastreg.ElasticNet, {"alpha": 0.05, "l1_ratio": 0.7, "tol": 1e-12, "standardize": True}),
    (fastreg.LassoCV, {"cv": 3, "alphas": 8, "tol": 1e-10}),
    (fastreg.LassoCV, {"cv": 3, "alphas": 5, "tol": 1e-10, "precompute": True}),
    (fastreg.Ridge, {"alpha": 0.5}),
    (fastreg.Ridge, {"alpha": 0.5, "solver": "svd"}),
    (fastreg.Ridge, {"alpha": 0.5, "solver": "sparse_cg", "tol": 1e-13}),
    (fastreg.Ridge, {"alpha": 0.5, "standardize": True}),
    (fastreg.RidgeCV, {"alphas": [0.1, 1.0, 10.0]}),
    (fastreg.RidgeCV, {"alphas": [0.1, 1.0, 10.0], "cv": 3}),
    (fastreg.RidgeClassifier, {"alpha": 0.5}),
    (fastreg.RidgeClassifierCV, {"alphas": [0.1, 1.0, 10.0]}),
    (fastreg.ridge_path, {"alphas": [0.1, 1.0, 10.0]}),
    (fastreg.regularization_path, {"alphas": 6, "tol": 1e-12}),
    (fastreg.lasso_path, {"alphas": 6, "tol": 1e-12}),
]


def fits(make, options, X, y, weight, seen):
    """Everything predicted for the rows `seen`, as an array, and what rounding may make of it: the order in which BLAS
    adds the products of a row depends on the layout, and coefficients that interpolate (alpha 0, p > n) are large."""
    if make is fastreg.lasso_path:
        _, coefs, _ = make(X, y, **options)
        return seen @ coefs, 0.0
    if not isinstance(make, type):
        path = make(X, y, sample_weight=weight, **options)
        return path.predict(X if seen is None else seen), 0.0
    model = make(**options).fit(X, y, sample_weight=weight)
    predict = model.decision_function if hasattr(model, "decision_function") else model.predict
    terms = np.abs(seen) @ np.abs(np.atleast_2d(model.coef_).T.astype(np.float64))
    return (np.hstack([predict(seen).reshape(len(seen), -1), predict(X).reshape(len(seen), -1)]),
            4 * np.finfo(model.coef_.dtype).eps * terms.max(initial=0.0))


def parts(X):
    """The arrays that hold X."""
    if not sp.issparse(X):
        return [X]
    return [getattr(X, name) for name in ("data", "indices", "indptr", "row", "col", "offsets") if hasattr(X, name)]


def random_case(seed):
    """X (a view), y, weights, their plain copies, and what is to be fitted."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(6, 60)), int(rng.integers(1, 30))
    dtype = np.float32 if rng.random() < 0.25 else np.float64
    numbers = rng.standard_normal((n, p)) + rng.choice([0.0, 3.0])
    make, options = MODELS[rng.integers(len(MODELS))]
    if rng.random() < 0.4:
        numbers *= rng.random((n, p)) < 0.5
        X = random_sparse(rng, numbers.astype(dtype))
        plain = np.array(X.astype(dtype).tocoo().toarray() if X.format not in ("csr", "csc") else uncompressed(X))
        plain = (sp.csr_array if X.format == "csr" else sp.csc_array)(plain)
    else:
        table = DENSE if rng.random() < 0.7 else SHARING
        X = table[rng.choice(list(table))](numbers.astype(dtype))
        if rng.random() < 0.3:
            X = X[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        plain = np.array(X, dtype=dtype, order=rng.choice(["C", "F"]))
    seen = plain.toarray() if sp.issparse(plain) else plain
    seen = seen.astype(np.float64)
    y = seen @ rng.standard_normal(p) + rng.standard_normal(n)
    if make in (fastreg.RidgeClassifier, fastreg.RidgeClassifierCV):
        y = np.where(y > np.median(y), 1.0, 0.0)
    vector = [VECTORS[rng.choice(list(VECTORS))] for _ in range(2)]
    weight = rng.uniform(0.5, 2.0, n) if rng.random() < 0.4 and make is not fastreg.lasso_path else None
    return make, options, (X, vector[0](y), None if weight is None else vector[1](weight)), (plain, y, weight), seen


def uncompressed(X):
    """CSR or CSC as an array, whatever its parts and flags."""
    major, minor = X.shape if X.format == "csr" else X.shape[::-1]
    out = np.zeros((major, minor), dtype=X.data.dtype.newbyteorder("="))
    for i in range(major):
        for e in range(int(X.indptr[i]), int(X.indptr[i + 1])):
            out[i, int(X.indices[e])] += X.data[e]
    return out if X.format == "csr" else out.T


def check(seed):
    """What is wrong with the fit on a view, or None."""
    make, options, given, plain, seen = random_case(seed)
    arrays = [a for a in [*parts(given[0]), *given[1:]] if a is not None]
    before = [a.tobytes() for a in arrays]
    words = f"seed {seed}, {make.__name__}({options}) on {describe(given[0])}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="R.*score|.*overlap|.*of its grid", category=UserWarning)
        try:
            found, _ = fits(make, options, *given, seen)
        except Exception:
            return f"{words}: {traceback.format_exc(limit=-3)}"
        wanted, rounding = fits(make, options, *plain, seen)
    if before != [a.tobytes() for a in arrays]:
        return f"{words}: the input was modified"
    size = np.abs(plain[1]).max()
    error = max(np.abs(found - wanted).max(initial=0.0) - rounding, 0) / size
    return None if error <= 1e-5 else f"{words}: predictions differ by {error:.1e} of the largest target"


def describe(X):
    """Storage in a few words."""
    if not sp.issparse(X):
        return f"{X.dtype} {X.shape}, strides {X.strides}, aligned {X.flags.aligned}"
    return f"{type(X).__name__} of " + ", ".join(f"{a.dtype} {a.strides}" for a in parts(X) if hasattr(a, "strides"))


def _run(first, count):
    """Check so many seeds in this process, a line for each that is wrong."""
    for seed in range(first, first + count):
        print(f"at {seed}", flush=True)
        wrong = check(seed)
        if wrong:
            print(f"WRONG {wrong}", flush=True)


def main(count, first=0, at_a_time=500):
    """Random views in processes of their own, which may crash; returns how many are wrong and how many crashed."""
    wrong = crashed = complaints = 0
    last = first + count
    while first < last:
        here = min(at_a_time, last - first)
        with tempfile.TemporaryFile("w+") as out:
            code = subprocess.run(
                [sys.executable, "-m", "tests.views", "--run", str(first), str(here)],
                stdout=out, stderr=subprocess.STDOUT, check=False,
            ).returncode
            out.seek(0)
            text = out.read()
        chunks = text.split("WRONG ")[1:]
        wrong += sum("Traceback" not in chunk for chunk in chunks)
        crashed += sum("Traceback" in chunk for chunk in chunks)
        complaints += text.count("illegal value")
        for chunk in chunks:
            print(chunk.split("\nat ")[0], flush=True)
        at = max(int(line[3:]) for line in text.splitlines() if line.startswith("at "))
        if code != 0:
            crashed += 1
            print(f"seed {at}: exit code {code}", flush=True)
            first = at + 1
        else:
            first += here
    print(f"{count} views: {wrong} wrong, {crashed} crashed, {complaints} complaints of BLAS")
    return wrong, crashed, complaints


if __name__ == "__main__":
    if sys.argv[1] == "--run":
        _run(int(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(any(main(*map(int, sys.argv[1:]))))
