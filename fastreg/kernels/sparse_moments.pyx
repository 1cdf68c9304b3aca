"""Moments of the columns of sparse X, under one or several weightings of the rows."""
from libc.math cimport fabs, isinf, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastreg.kernels.design cimport CHUNK, Design, Moments, shares
from fastreg.kernels.leaf cimport fr_axpy, fr_spcols, fr_spmoments1, fr_spmoments4
from fastreg.kernels.memory cimport grow
from fastreg.kernels.csx cimport border, index, moments_verb, piece, real, run_pieces
from fastreg.kernels.threads cimport share_of


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


cdef void _column_moments(const real *data, const index *idx, const index *ptr, const Moments *of, Py_ssize_t k,
                          const double *w, const double *root, int lanes, Py_ssize_t lo,
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


cdef struct Parts:
    # Of the rows, by entries, each with sums of its own.
    Py_ssize_t n, p, parts
    const double *weight
    const double *v
    FewSums *sums


cdef void _few_sums(const Parts *u, Py_ssize_t part, const real *data, const index *idx,
                    const index *ptr) noexcept nogil:
    cdef Py_ssize_t i, e, hi = border(ptr, u.n, part + 1, u.parts)
    cdef double w, vi, x
    cdef FewSums *c
    for i in range(border(ptr, u.n, part, u.parts), hi):
        w = 1 if u.weight == NULL else u.weight[i]
        vi = 0 if u.v == NULL else u.v[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            c = &u.sums[part * u.p + idx[e]]
            x = data[e]
            c.sum += w * x
            c.squares += w * x * x
            c.xv += vi * x


cdef int _few_row_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                          const double *v, double *out) except -1 nogil:
    """As `_row_moments` without norm1 and levels, in half of its time; 0 where sums lack digits (or are not
    finite) and nothing is done."""
    cdef Py_ssize_t j, part, parts = shares(<double> d.nnz, 3 * d.p)
    cdef Parts u
    cdef double m, squares
    cdef FewSums *sums = <FewSums *> calloc(parts * d.p, sizeof(FewSums))
    cdef bint good = True
    if sums == NULL:
        with gil:
            raise MemoryError()
    u.n, u.p, u.parts, u.weight, u.v, u.sums = d.n, d.p, parts, of.weight, v, sums
    run_pieces(<piece> _few_sums[real, index], &u, parts, d.threads(<double> d.nnz), data, idx, ptr)
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


cdef struct Columns:
    # Their moments under all weightings and, unless V is NULL, their products with it.
    Py_ssize_t n, p, n_of, share
    const Moments *of
    const double *w
    const double *root
    const double *mean
    const double *V
    double total
    double *out


cdef void _some_moments(const Columns *u, Py_ssize_t k, const real *data, const index *idx,
                        const index *ptr) noexcept nogil:
    """Of a few columns, while they are in cache."""
    cdef Py_ssize_t f, lo = k * u.share, hi = min(u.p, lo + u.share)
    if u.n_of == 1:
        _column_moments(data, idx, ptr, u.of, 1, u.w, u.root, 1, lo, hi)
    for f in range(0, u.n_of if u.n_of > 1 else 0, 4):
        _column_moments(data, idx, ptr, u.of + f, min(4, u.n_of - f), u.w + f * u.n, u.root + f * u.n, 4, lo, hi)
    if u.V != NULL:
        fr_spcols(lo, hi, NULL, data, idx, ptr, u.mean, u.V, u.total, u.out)


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
    cdef Py_ssize_t f, i
    cdef Columns u
    cdef double *many[2]
    if d.across():
        for f in range(n_of):
            _row_moments(d, data, idx, ptr, &of[f], V if f == 0 else NULL, out)
        return 0
    many[0] = many[1] = NULL
    u.n, u.p, u.n_of, u.share, u.of, u.mean, u.V, u.out = d.n, d.p, n_of, share_of(d.p, CHUNK), of, mean, V, out
    u.w, u.root, u.total = of[0].weight, of[0].root, 0
    if n_of > 1:
        _interleave_weights(d, of, n_of, &many[0], &many[1])
        u.w, u.root = many[0], many[1]
    for i in range(d.n if V != NULL and of.centred else 0):
        u.total += V[i]
    run_pieces(<piece> _some_moments[real, index], &u, (d.p + u.share - 1) // u.share, d.threads(<double> d.nnz), data,
               idx, ptr)
    free(many[0])
    free(many[1])
    return 0
