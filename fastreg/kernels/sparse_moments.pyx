"""Moments of the columns of sparse X, under one or several weightings of the rows."""
from cython.parallel cimport prange

from libc.math cimport fabs, isinf, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastreg.kernels.design cimport CHUNK, Design, Moments, shares
from fastreg.kernels.leaf cimport fr_axpy, fr_spcols, fr_spmoments1, fr_spmoments4
from fastreg.kernels.memory cimport grow
from fastreg.kernels.csx cimport border, index, moments_verb, real


cdef moments_verb sparse_moments(bint single, bint wide) noexcept:
    """The function for these types: one set of products with V at most."""
    if single:
        return <moments_verb> _moments[float, int64_t] if wide else <moments_verb> _moments[float, int32_t]
    return <moments_verb> _moments[double, int64_t] if wide else <moments_verb> _moments[double, int32_t]


cdef inline double _absent(double total, double present) noexcept nogil:
    """Weight of the rows where a column has no entry; none where the difference is rounding."""
    cdef double absent = total - present
    return absent if absent > 1e-12 * total else 0


cdef inline void _spmoments(int lanes, Py_ssize_t n, const real *x, const index *idx, const double *w,
                            const double *root, double scale, double *out) noexcept nogil:
    if lanes == 1:
        fr_spmoments1(n, x, idx, w, root, scale, out)
    else:
        fr_spmoments4(n, x, idx, w, root, scale, out)


cdef void _column_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                          Py_ssize_t k, const double *w, const double *root, int lanes, Py_ssize_t lo,
                          Py_ssize_t hi) noexcept nogil:
    """Of columns [lo, hi) under k weightings, interleaved in w and root where there are several lanes."""
    cdef Py_ssize_t j, f, e
    cdef double m, absent
    cdef double out[16]             # by lane: weight of the rows present, mean, squares about it, norm1
    cdef double squares
    if k == 1 and not of.centred and of.norm1 == NULL:
        for j in range(lo, hi):
            squares = 0
            for e in range(<Py_ssize_t> ptr[j], <Py_ssize_t> ptr[j + 1]):
                squares += (1 if w == NULL else w[idx[e]]) * data[e] * data[e]
            of.mean[j], of.level[j], of.norm[j] = 0, 0, sqrt(squares)
        return
    for j in range(lo, hi):
        _spmoments(lanes, <Py_ssize_t> (ptr[j + 1] - ptr[j]), data + ptr[j], idx + ptr[j], w, root,
                   1 / of.total if of.centred else 0, out)
        for f in range(k):
            absent, m = _absent(of.total, out[f]), out[lanes + f]
            of[f].mean[j] = m
            if of[f].norm1 != NULL:
                of[f].norm1[j] = out[3 * lanes + f]
            of[f].level[j] = 0 if absent > 0 else m
            of[f].norm[j] = sqrt(out[2 * lanes + f] + absent * m * m)


cdef double FEW_DIGITS = 1e-3    # share of a sum of squares, below which what is left of it about the mean is too rough


cdef struct ColumnSums:
    # Sums over the rows of a column, side by side: an entry of X finds all of them in one place of the memory.
    double first         # the first value, which the others are taken about: a high level then costs no digits
    double d1, d2        # sum_i s_i (x_i - first), and of its squares
    double present       # sum_i s_i of the rows that have an entry
    double n1            # sum_i sqrt(s_i) |x_i|
    double xv            # sum_i x_i v_i
    double spare[2]


cdef struct FewSums:
    double sum           # sum_i s_i x_i
    double squares       # sum_i s_i x_i^2
    double xv            # sum_i x_i v_i


cdef void _few_sums(const real *data, const index *idx, const index *ptr, const double *weight, const double *v,
                    Py_ssize_t lo, Py_ssize_t hi, FewSums *sums) noexcept nogil:
    cdef Py_ssize_t i, e
    cdef double w, vi, x
    cdef FewSums *c
    for i in range(lo, hi):
        w = 1 if weight == NULL else weight[i]
        vi = 0 if v == NULL else v[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            c = &sums[idx[e]]
            x = data[e]
            c.sum += w * x
            c.squares += w * x * x
            c.xv += vi * x


cdef int _few_row_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                          const double *v, double *out) except -1 nogil:
    """As `_row_moments` without norm1 and levels, in half of its time; 0 where sums lack digits (or are not
    finite) and nothing is done."""
    cdef Py_ssize_t j, part, parts = shares(<double> d.nnz, 3 * d.p)
    cdef int threads = <int> min(d.threads(<double> d.nnz), parts)
    cdef double m, squares
    cdef FewSums *sums = <FewSums *> calloc(parts * d.p, sizeof(FewSums))
    cdef bint good = True
    if sums == NULL:
        with gil:
            raise MemoryError()
    if threads > 1:
        for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
            _few_sums(data, idx, ptr, of.weight, v, border(ptr, d.n, part, parts), border(ptr, d.n, part + 1, parts),
                      sums + part * d.p)
    else:
        for part in range(parts):
            _few_sums(data, idx, ptr, of.weight, v, border(ptr, d.n, part, parts), border(ptr, d.n, part + 1, parts),
                      sums + part * d.p)
    for part in range(1, parts):
        fr_axpy(3 * d.p, 1, <double *> (sums + part * d.p), <double *> sums)
    for j in range(d.p):
        m = sums[j].sum / of.total if of.centred else 0
        squares = sums[j].squares - m * sums[j].sum
        if not (squares > FEW_DIGITS * sums[j].squares or sums[j].squares == 0) or isinf(squares):
            good = False
            break
        of.mean[j], of.level[j], of.norm[j] = m, 0, sqrt(max(squares, 0.))
        if v != NULL:
            out[j] = sums[j].xv
    free(sums)
    return good


cdef int _row_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                      const double *v, double *out) except -1 nogil:
    """Moments of all columns and, unless v is NULL, their products with v (not centred), in one sweep over the rows."""
    cdef Py_ssize_t i, j, e
    cdef double w, root, x, vi, m, absent
    cdef ColumnSums *c
    cdef ColumnSums *sums
    if of.norm1 == NULL and _few_row_moments(d, data, idx, ptr, of, v, out):
        return 0
    sums = <ColumnSums *> calloc(d.p, sizeof(ColumnSums))
    if sums == NULL:
        with gil:
            raise MemoryError()
    for i in range(d.n):
        w = 1 if of.weight == NULL else of.weight[i]
        root = 1 if of.root == NULL else of.root[i]
        vi = 0 if v == NULL else v[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            c = &sums[idx[e]]
            x = data[e]
            if c.present == 0:
                c.first = x
            c.present += w
            c.d1 += w * (x - c.first)        # NaN and infinity make it NaN, whatever the weight
            c.d2 += w * (x - c.first) * (x - c.first)
            c.n1 += root * fabs(x)
            c.xv += vi * x
    for j in range(d.p):
        c = &sums[j]
        absent = _absent(of.total, c.present)
        m = (c.d1 + c.first * c.present) / of.total if of.centred else 0
        of.mean[j] = m
        if of.norm1 != NULL:
            of.norm1[j] = c.n1
        of.level[j] = 0 if absent > 0 else m
        m -= c.first
        of.norm[j] = sqrt(max(c.d2 - 2 * m * c.d1 + m * m * c.present, 0.) + absent * of.mean[j] * of.mean[j])
        if c.d1 * 0 != 0:
            of.norm[j] = c.d1 * 0
        if v != NULL:
            out[j] = c.xv
    free(sums)
    return 0


cdef void _chunk_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                         Py_ssize_t n_of, const double *w, const double *root, Py_ssize_t lo, Py_ssize_t hi,
                         const double *mean, const double *V, double total, double *out) noexcept nogil:
    """Moments of a few columns under all weightings and, unless V is NULL, their products with it, while they are in
    cache."""
    cdef Py_ssize_t f
    if n_of == 1:
        _column_moments(d, data, idx, ptr, of, 1, w, root, 1, lo, hi)
    for f in range(0, n_of if n_of > 1 else 0, 4):
        _column_moments(d, data, idx, ptr, of + f, min(4, n_of - f), w + f * d.n, root + f * d.n, 4, lo, hi)
    if V != NULL:
        fr_spcols(lo, hi, NULL, data, idx, ptr, mean, V, total, out)


cdef int _interleave_weights(Design d, const Moments *of, Py_ssize_t n_of, double **w, double **root) except -1 nogil:
    """Weights and their roots, four lanes at a time; those of an empty lane stay 0."""
    cdef Py_ssize_t f, i, at, size = (n_of + 3) // 4 * 4 * d.n * sizeof(double)
    grow(<void **> w, size)
    grow(<void **> root, size)
    memset(w[0], 0, size)
    memset(root[0], 0, size)
    for f in range(n_of):
        for i in range(d.n):
            at = f // 4 * 4 * d.n + 4 * i + f % 4
            w[0][at] = 1 if of[f].weight == NULL else of[f].weight[i]
            root[0][at] = 1 if of[f].root == NULL else of[f].root[i]
    return 0


cdef int _moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of, Py_ssize_t n_of,
                  const double *mean, const double *V, double *out) except -1 nogil:
    cdef Py_ssize_t c, f, i, chunk = 4 * CHUNK, chunks = (d.p + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz)
    cdef double total = 0
    cdef double *many[2]
    cdef const double *w = of[0].weight
    cdef const double *root = of[0].root
    if d.across():
        for f in range(n_of):
            _row_moments(d, data, idx, ptr, &of[f], V if f == 0 else NULL, out)
        return 0
    many[0] = many[1] = NULL
    if n_of > 1:
        _interleave_weights(d, of, n_of, &many[0], &many[1])
        w, root = many[0], many[1]
    for i in range(d.n if V != NULL and of.centred else 0):
        total += V[i]
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _chunk_moments(d, data, idx, ptr, of, n_of, w, root, c * chunk, min(d.p, (c + 1) * chunk), mean, V,
                           total, out)
    else:
        for c in range(chunks):
            _chunk_moments(d, data, idx, ptr, of, n_of, w, root, c * chunk, min(d.p, (c + 1) * chunk), mean, V,
                           total, out)
    free(many[0])
    free(many[1])
    return 0
