"""The contract of Design: every verb, whatever the storage, layout, type, weights and number of threads, is what a few
lines of NumPy in long double say.

Errors are bounded by rounding relative to what is summed: entries and the levels that are taken from them.  A formula
that forms squares first and subtracts afterwards fails by far on the columns whose mean is 1e6 standard deviations.
"""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
from views import COMPRESSED, DENSE, SHARING, VECTORS, uncompressed, with_parts

from fastreg.adapter import design as verbs
from fastreg.adapter import parallel_work
from fastreg.design import as_design, in_row_order, view_of

EPS = np.finfo(float).eps
LONG = np.longdouble


def numbers(n, p, dtype, sparse):
    """Columns of many scales, with high means, constant, empty; rows of X that hold nothing, if sparse."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    X[:, 1::5] += (1e6 if dtype == np.float64 else 1e2) * np.abs(X[:, 1::5]).max(axis=0)
    if sparse:
        X[:, ::2] *= rng.random((n, len(X[0, ::2]))) < 0.3
        X[3] = 0
    X[:, 2], X[:, 3], X[:, 4] = 0, 2.5, np.arange(n) == 1
    return X.astype(dtype)


def compressed(make, kind, index, parts, X):
    """CSR or CSC of a kind, its index type and how each of its arrays is stored."""
    stored = COMPRESSED[kind](make(X), np.random.default_rng(1))
    arrays = {name: getattr(stored, name) for name in ("data", "indices", "indptr")}
    arrays = {name: a if name == "data" else a.astype(index) for name, a in arrays.items()}
    return with_parts(stored, **{name: VECTORS[parts](a) for name, a in arrays.items()})


STORAGES = DENSE | SHARING
for _make in (sp.csr_array, sp.csc_array):
    for _kind in ("plain", "unsorted", "unsorted_duplicates", "with_tail"):
        for _index in (np.int32, np.int64):
            STORAGES[f"{_make.__name__}_{_kind}_{_index.__name__}"] = functools.partial(
                compressed, _make, _kind, _index, "plain"
            )
    for _part in list(VECTORS)[1:]:
        STORAGES[f"{_make.__name__}_{_part}"] = functools.partial(compressed, _make, "plain", np.int32, _part)


class Case:
    """A design and what it stands for in long double: Xc is centred, Z weighted too, A bounds what was subtracted."""

    def __init__(self, X, weight, centred, n_threads):
        self.X = np.array(uncompressed(X) if sp.issparse(X) else X, dtype=LONG)
        self.n, self.p = self.X.shape
        self.design = view_of(as_design(X, n_threads), weight, centred)
        self.in_order = view_of(as_design(in_row_order(X) if sp.issparse(X) else X, n_threads), weight, centred)
        self.s = np.ones(self.n, dtype=LONG) if weight is None else weight.astype(LONG)
        self.root, self.sparse = np.sqrt(self.s), sp.issparse(X)
        self.mean, self.norm = moments(self.X, self.s, centred)
        self.Xc = self.X - self.mean
        self.Z = self.root[:, None] * self.Xc
        size = np.abs(self.X)
        self.A = (size + self.s @ size / self.n).astype(float)
        self.rng = np.random.default_rng(0)
        self.centred = centred


def moments(X, s, centred):
    """Mean and norm of each column in two passes; 0 is the norm of what is constant but for rounding."""
    mean = (s @ X) / len(X) * centred
    norm = np.sqrt(s @ (X - mean) ** 2)
    return mean, np.where(norm <= 32 * EPS * np.abs(mean) * np.sqrt(LONG(len(X))), 0, norm)


def close(found, wanted, size, n=0):
    """Within a few roundings of what was summed, as many more as there are rows."""
    error, ulps = np.abs(np.asarray(found) - wanted), 50 + n
    assert error.shape == np.shape(wanted)
    assert np.all(error <= ulps * EPS * size), f"off by {np.max(error / np.maximum(EPS * size, 1e-300)):.3g} roundings"


# ---- the verbs, each against NumPy -----------------------------------------------------------------------------------
def check_moments(case):
    d, n = case.design, case.n
    others = [np.full(n, 1.0), (np.arange(n) % 3 > 0) * np.linspace(0.5, 2, n), np.arange(n) + 1.0]
    others = [s * (n / s.sum()) for s in others]
    for weights, k in (([], 0), ([], 1), ([], 3), (others[:1], 1), (others, 2), (others + others, 0)):
        V = case.root.astype(float) * case.rng.standard_normal((k, n))
        V -= V.mean(axis=1, keepdims=True)
        found, products = verbs.moments(d, V, weights)
        close(products, V @ case.Xc, np.abs(V) @ case.A)
        for (mean, norm, norm1, full), s in zip(found, [case.s, *weights]):
            root = np.sqrt(np.asarray(s, dtype=LONG))
            wanted, size = moments(case.X, root**2, case.centred)
            level = root**2 @ np.abs(case.X) / n
            close(mean, wanted, level, n)
            close(norm, size, size + level * np.sqrt(n), n)
            if case.sparse:
                no_zeros = np.all((case.X != 0) | (root == 0)[:, None], axis=0)
                close(norm1, root @ np.abs(case.X), root @ np.abs(case.X))
                close(full, np.where(no_zeros, wanted, 0), level)


def check_stream(case):
    d, p = case.design, case.p
    for cols in (None, [0], [1, 0, p - 1, 1, 2], np.arange(p)[::-1]):
        if cols is not None and verbs.storage(d) == (True, True):  # CSR: all columns only
            continue
        which = slice(None) if cols is None else cols
        for k in (1, 2, 5, 9):
            V = case.rng.standard_normal((k, case.n))
            close(verbs.stream(d, V, cols), V @ case.Xc[:, which], np.abs(V) @ case.A[:, which])


def check_combine(case):
    for cols in (None, [2, 0, 1], [case.p - 1]):
        which = np.arange(case.p) if cols is None else cols
        w = case.rng.standard_normal(len(which))
        close(verbs.combine(case.design, w, cols), case.Z[:, which] @ w, case.root * (case.A[:, which] @ np.abs(w)))


def check_normal(case):
    for k in (1, 2, 5, 9):
        V = case.rng.standard_normal((k, case.p))
        fits, size = V @ case.Xc.T, np.abs(V) @ case.A.T
        for with_fits in (True, False):
            products, of_rows = verbs.normal(case.design, V, with_fits)
            close(products, (fits * case.s) @ case.Xc, (size * case.s) @ case.A)
            if with_fits:
                close(of_rows, fits, size)


def check_gather(case):
    for cols in ([4, 0, 1], np.arange(case.p)[::-1]):
        close(verbs.gather(case.design, cols), case.Z[:, cols], case.root[:, None] * case.A[:, cols])


def check_rows(case):
    if case.sparse:
        for step in (5, case.n):
            found, rising = verbs.load_sparse_rows(case.in_order, step)
            assert np.array_equal(found, case.X.astype(float))
            assert rising
        level = np.asarray(verbs.moments(case.design, np.zeros((0, case.n)))[0][0][3])
        batches = [[4, 1], [0], np.arange(5, case.p)]
        found, rising = verbs.gather_rows(case.design, *batches)
        cols = np.concatenate(batches)
        weighted = (case.root > 0)[:, None]
        close(found, weighted * np.where(case.X == 0, 0, case.X - level)[:, cols], weighted * case.A[:, cols])
        assert rising
        return
    shift = case.mean.astype(float) + 0.25
    wanted = case.root[:, None] * (case.X - shift)
    for rows in (slice(0, case.n), slice(2, case.n - 1), [case.n - 1, 0, 0, 2]):
        size = case.root[rows, None] * (case.A[rows] + 1)
        close(verbs.load_rows(case.design, rows, shift), wanted[rows], size)
        if verbs.storage(case.design) == (False, True):
            for beside in (0, 3):
                close(verbs.load_as_rows(case.design, rows, shift, beside), wanted[rows], size)


def check_gram(case):
    """X'X and X'Y, and the moments that come with them."""
    if case.sparse:
        return
    d, n = case.design, case.n
    for k in (1, 3):
        Y = case.root.astype(float) * case.rng.standard_normal((k, n))
        if case.centred:
            Y -= np.outer(Y @ case.root, case.root).astype(float) / n
        gram, xy = verbs.gram_of(d, Y)
        norm, level = (np.sqrt(case.s @ a**2).astype(float) for a in (case.Xc, case.A))
        # 1e3: what a level may cost where it is not taken off first
        size = 1e3 * np.outer(norm, norm) + np.outer(level, norm) + np.outer(norm, level) + EPS * np.outer(level, level)
        close(gram, case.Z.T @ case.Z, size)
        close(xy, Y @ case.Z, np.abs(Y) @ (case.root[:, None] * case.A))
        close(d.means, case.mean, case.A.max(axis=0))
        close(d.norms, case.norm, 1e3 * norm + level)


def check_kernel(case):
    """XX' in its three forms."""
    if case.sparse:
        return
    d, n = case.design, case.n
    verbs.moments(d, np.zeros((0, n)))
    for scale in (None, np.linspace(0, 2, case.p)):
        F = np.ones(case.p) if scale is None else scale
        A = case.root[:, None] * case.A
        close(verbs.kernel_of(d, scale), (case.Z * F) @ case.Z.T, (A * F) @ A.T)
    if not verbs.reads_directly(d):
        with pytest.raises(ValueError, match="BLAS"):
            verbs.kernel_of(d, raw=True)
        return
    V, size = case.rng.standard_normal((3, n)), np.abs(case.X).astype(float)
    close(verbs.kernel_of(d, raw=True), case.X @ case.X.T, size @ size.T)
    close(verbs.products_of(d, V), V @ case.X, np.abs(V) @ size)


def check_parts(case):
    n, part = case.n, (np.arange(case.n) % 3).astype(np.int32)
    shift = np.zeros(case.p) if case.sparse else case.mean.astype(float)
    Y = case.rng.standard_normal((2, n))
    z = np.hstack([case.X - shift, Y.T, np.ones((n, 1))])
    size = np.hstack([case.A, np.abs(Y.T), np.ones((n, 1))])
    found = verbs.part_sums(case.in_order, Y, part, 3, None if case.sparse else shift)
    for a in range(3):
        here = part == a
        wanted = (z[here].T * case.s[here]) @ z[here]
        if case.sparse:
            wanted[case.p, case.p + 1] = wanted[case.p + 1, case.p] = 0
        close(found[a], wanted, (size[here].T * case.s[here].astype(float)) @ size[here])


LINEAR = (check_moments, check_stream, check_combine, check_normal, check_gather)
TALL = (*LINEAR, check_rows, check_gram, check_parts)
WIDE = (*LINEAR, check_kernel)
VERBS = (*TALL, check_kernel)


SETTINGS = ((False, True, 3), (False, False, 1), (True, True, 3), (True, False, 3))


def everything(make, X, settings=SETTINGS, some=VERBS):
    """Verbs, for each (weights, centred, number of threads)."""
    n = len(X)
    weight = np.random.default_rng(3).uniform(0.2, 2, n) * (np.arange(n) % 4 > 0)
    for weighted, centred, n_threads in settings:
        case = Case(make(X), weight * (n / weight.sum()) if weighted else None, centred, n_threads)
        for verb in some:
            verb(case)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("storage", STORAGES)
def test_every_verb(storage, dtype):
    with parallel_work(0):
        everything(STORAGES[storage], numbers(13, 141, dtype, "array" in storage))


SOME = ["C", "F", "C_rows_back", "F_columns_back", "C_strided", "csr_array_plain_int32", "csc_array_unsorted_int64"]


@pytest.mark.parametrize(("shape", "some"), [((4200, 7), TALL), ((9, 2100), WIDE)])
@pytest.mark.parametrize("storage", SOME)
def test_blocks_of_rows_and_lanes_of_columns(storage, shape, some):
    """What is dealt to lanes, and several blocks of rows: more of them than the other test has."""
    with parallel_work(0):
        everything(STORAGES[storage], numbers(*shape, np.float64, "array" in storage), [(False, True, 3)], some)


@pytest.mark.parametrize("storage", ["F", "csc_array_plain_int64"])
def test_without_threads_on_small_problems(storage):
    everything(STORAGES[storage], numbers(13, 141, np.float64, "array" in storage))


def answers(design, n, p):
    """What every verb gives, in one list."""
    rng = np.random.default_rng(5)
    V, W, Y = rng.standard_normal((3, n)), rng.standard_normal((3, p)), rng.standard_normal((1, n))
    found, products = verbs.moments(design, V)
    found = [*found[0][:2], products, verbs.stream(design, V), verbs.stream(design, V[:1])]
    found += [verbs.combine(design, W[0]), *verbs.normal(design, W), *verbs.normal(design, W[:1])]
    sparse, _ = verbs.storage(design)
    found += [verbs.kernel_of(design)] if not sparse and n < 100 else []
    if p > 1000:
        return found
    found += verbs.gram_of(design, Y) if not sparse else []
    part, shift = (np.arange(n) % 3).astype(np.int32), None if sparse else np.zeros(p)
    return [*found, verbs.part_sums(design, Y, part, 3, shift)]


@pytest.mark.parametrize("shape", [(50, 140), (4200, 7), (9, 2100)])
@pytest.mark.parametrize("storage", [*SOME[:-1], "csc_array_plain_int32"])
def test_the_same_bits_for_any_number_of_threads(storage, shape):
    X = STORAGES[storage](numbers(*shape, np.float64, "array" in storage))
    with parallel_work(0):
        one, *more = (answers(view_of(as_design(X, threads), None, True), *shape) for threads in (1, 2, 3, 8))
    for other in more:
        assert all(np.array_equal(a, b) for a, b in zip(one, other))


# ---- what BLAS may read ----------------------------------------------------------------------------------------------
def view(X, shape, strides):
    """Of items; nothing is read."""
    return np.lib.stride_tricks.as_strided(X, shape, [s * X.itemsize for s in strides])


X0 = np.zeros(64)
LARGEST = np.iinfo(np.intc).max


@pytest.mark.parametrize(
    ("X", "reads"),
    [
        (view(X0, (4, 3), (3, 1)), True),
        (view(X0, (4, 3), (1, 4)), True),
        (view(X0, (4, 3), (9, 1)), True),
        (view(X0, (4, 3), (1, 9)), True),
        (view(X0, (4, 3), (LARGEST, 1)), True),
        (view(X0, (4, 3), (1, LARGEST)), True),
        (view(X0, (4, 3), (2, 1)), False),  # rows overlap
        (view(X0, (4, 3), (1, 3)), False),
        (view(X0, (4, 3), (0, 1)), False),
        (view(X0, (4, 3), (1, 0)), False),
        (view(X0[32:], (4, 3), (-3, 1)), False),
        (view(X0[32:], (4, 3), (1, -4)), False),
        (view(X0, (4, 3), (6, 2)), False),
        (view(X0[32:], (4, 3), (3, -1)), False),
        (view(X0, (4, 3), (LARGEST + 1, 1)), False),  # more than BLAS can be told
        (view(X0, (4, 3), (1, LARGEST + 1)), False),
        (view(X0, (4, 3), (1 + (1 << 32), 1)), False),  # cut to an int, it would be 1
        (view(X0, (1, 3), (0, 1)), True),
        (view(X0, (4, 1), (1, 0)), True),
        (view(X0, (4, 1), (0, 0)), False),
        (X0.reshape(8, 8).astype(np.float32), False),
        (sp.csr_array(np.eye(3)), False),
    ],
)
def test_what_blas_may_read(X, reads):
    assert verbs.reads_directly(view_of(as_design(X, 1), None, True)) == reads


def test_strides_beyond_an_int_are_followed(tmp_path):
    """Rows 2^31 + 8 elements apart, in a file that is nearly all hole."""
    far = (1 << 31) + 8
    X = np.random.default_rng(0).standard_normal((5, 6))
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(8 * (5 * far + 8))
    holes = np.memmap(tmp_path / "hole", np.float64, "r+", shape=5 * far + 8)
    for rows in (slice(None), slice(None, None, -1)):
        for transposed in (False, True):
            strided = view(holes, X.shape, (far, 1))[rows]
            strided[...] = X
            everything(np.asarray, strided.T if transposed else strided, [(True, True, 1)])


@pytest.mark.parametrize("shape", [(LARGEST + 1, 2), (2, LARGEST + 1)])
def test_more_rows_or_columns_than_an_int_counts(shape):
    with pytest.raises(ValueError, match=r"^X must have at most \d+ rows and columns"):
        view_of(as_design(np.broadcast_to(np.zeros(1), shape), 1), None, True)
    with pytest.raises(ValueError, match=r"^X must have at most"):
        view_of(as_design(sp.csr_array((2, LARGEST + 1)), 1), None, True)


def test_lowering_the_threshold_starts_threads_and_ends():
    X = numbers(50, 140, np.float64, False)
    with parallel_work(1e9):
        before = verbs.kernel_of(view_of(as_design(X[:9], 2), None, True))
        with parallel_work(0), pytest.raises(KeyError):
            raise KeyError
        assert np.array_equal(before, verbs.kernel_of(view_of(as_design(X[:9], 2), None, True)))
