/* Leaf loops over one to four columns or rows: everything here is bound by memory or by one fused multiply-add,
 * so it is written once per element type and compiled once per SIMD level (target_clones, chosen when the library
 * is loaded). All sums are accumulated in double, whatever X is stored in. */
#ifndef FASTREG_LEAF_H
#define FASTREG_LEAF_H
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#ifdef __linux__
#include <features.h>
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 \
    && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(FASTREG_NO_CLONES)
#define FR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define FR_HAS_CLONES 1
#else
#define FR_CLONES
#define FR_HAS_CLONES 0
#endif
#define FR_UNUSED __attribute__((unused))
#define FR_LEAF FR_CLONES FR_UNUSED static
#define FR_PRAGMA(x) _Pragma(#x)
#ifdef __GNUC__
#define FR_PREFETCH(address) __builtin_prefetch(address)
#else
#define FR_PREFETCH(address) ((void)0)
#endif

static inline const char *fr_simd_level(void) {
#if FR_HAS_CLONES
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq")) return "x86-64-v4 (AVX-512)";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "x86-64-v3 (AVX2, FMA)";
    return "baseline";
#else
    return "baseline (no function multiversioning)";
#endif
}

/* ---- dense columns of element type T ------------------------------------------------------------------------- */
#define FR_DENSE(T, S)                                                                                               \
/* out_k = sum_i (x_k[i] - m_k) v[i] for four columns */                                                             \
FR_LEAF void fr_dot4_##S(ptrdiff_t n, const T *x0, const T *x1, const T *x2, const T *x3, const double *m,           \
                         const double *v, double *out) {                                                             \
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];                               \
    FR_PRAGMA(omp simd reduction(+:s0, s1, s2, s3))                                                                  \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                              \
        double vi = v[i];                                                                                            \
        s0 += ((double)x0[i] - m0) * vi; s1 += ((double)x1[i] - m1) * vi;                                            \
        s2 += ((double)x2[i] - m2) * vi; s3 += ((double)x3[i] - m3) * vi;                                            \
    }                                                                                                                \
    out[0] = s0; out[1] = s1; out[2] = s2; out[3] = s3;                                                              \
}                                                                                                                    \
FR_LEAF double fr_dot_##S(ptrdiff_t n, const T *x, double m, const double *v) {                                      \
    double s = 0;                                                                                                    \
    FR_PRAGMA(omp simd reduction(+:s))                                                                               \
    for (ptrdiff_t i = 0; i < n; i++) s += ((double)x[i] - m) * v[i];                                                \
    return s;                                                                                                        \
}                                                                                                                    \
FR_LEAF void fr_sum4_##S(ptrdiff_t n, const T *x0, const T *x1, const T *x2, const T *x3, double *out) {             \
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                                                           \
    FR_PRAGMA(omp simd reduction(+:s0, s1, s2, s3))                                                                  \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                              \
        s0 += (double)x0[i]; s1 += (double)x1[i]; s2 += (double)x2[i]; s3 += (double)x3[i];                          \
    }                                                                                                                \
    out[0] = s0; out[1] = s1; out[2] = s2; out[3] = s3;                                                              \
}                                                                                                                    \
/* sq_k = sum_i w[i] (x_k[i] - m_k)^2 (w NULL meaning 1) and dot_k = sum_i (x_k[i] - m_k) v[i] for four columns */   \
FR_LEAF void fr_sqdot4_##S(ptrdiff_t n, const T *x0, const T *x1, const T *x2, const T *x3, const double *m,         \
                           const double *w, const double *v, double *sq, double *dot) {                              \
    double q0 = 0, q1 = 0, q2 = 0, q3 = 0, s0 = 0, s1 = 0, s2 = 0, s3 = 0, m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];\
    if (w) {                                                                                                         \
        FR_PRAGMA(omp simd reduction(+:q0, q1, q2, q3, s0, s1, s2, s3))                                              \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                          \
            double d0 = (double)x0[i] - m0, d1 = (double)x1[i] - m1, d2 = (double)x2[i] - m2;                        \
            double d3 = (double)x3[i] - m3, vi = v[i], wi = w[i];                                                    \
            q0 += wi * d0 * d0; q1 += wi * d1 * d1; q2 += wi * d2 * d2; q3 += wi * d3 * d3;                          \
            s0 += d0 * vi; s1 += d1 * vi; s2 += d2 * vi; s3 += d3 * vi;                                              \
        }                                                                                                            \
    } else {                                                                                                         \
        FR_PRAGMA(omp simd reduction(+:q0, q1, q2, q3, s0, s1, s2, s3))                                              \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                          \
            double d0 = (double)x0[i] - m0, d1 = (double)x1[i] - m1, d2 = (double)x2[i] - m2;                        \
            double d3 = (double)x3[i] - m3, vi = v[i];                                                               \
            q0 += d0 * d0; q1 += d1 * d1; q2 += d2 * d2; q3 += d3 * d3;                                              \
            s0 += d0 * vi; s1 += d1 * vi; s2 += d2 * vi; s3 += d3 * vi;                                              \
        }                                                                                                            \
    }                                                                                                                \
    sq[0] = q0; sq[1] = q1; sq[2] = q2; sq[3] = q3;                                                                  \
    dot[0] = s0; dot[1] = s1; dot[2] = s2; dot[3] = s3;                                                              \
}                                                                                                                    \
/* out[i] = q[i] (x[i] - m), q NULL meaning 1 */                                                                     \
FR_LEAF void fr_load_##S(ptrdiff_t n, const T *x, double m, const double *q, double *out) {                          \
    if (q) for (ptrdiff_t i = 0; i < n; i++) out[i] = q[i] * ((double)x[i] - m);                                     \
    else for (ptrdiff_t i = 0; i < n; i++) out[i] = (double)x[i] - m;                                                \
}                                                                                                                    \
/* out[j] += sum_k v_k (x_k[j] - m[j]) for four rows */                                                              \
FR_LEAF void fr_rows4_##S(ptrdiff_t p, const T *x0, const T *x1, const T *x2, const T *x3, const double *m,          \
                          const double *v, double *out) {                                                            \
    double v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3];                                                               \
    FR_PRAGMA(omp simd)                                                                                              \
    for (ptrdiff_t j = 0; j < p; j++)                                                                                \
        out[j] += ((double)x0[j] - m[j]) * v0 + ((double)x1[j] - m[j]) * v1                                          \
                + ((double)x2[j] - m[j]) * v2 + ((double)x3[j] - m[j]) * v3;                                         \
}                                                                                                                    \
/* out[i] += sum_k v_k (x_k[i] - m_k) for four columns */                                                            \
FR_LEAF void fr_comb4_##S(ptrdiff_t n, const T *x0, const T *x1, const T *x2, const T *x3, const double *m,          \
                          const double *v, double *out) {                                                            \
    double v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3], m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];                   \
    FR_PRAGMA(omp simd)                                                                                              \
    for (ptrdiff_t i = 0; i < n; i++)                                                                                \
        out[i] += ((double)x0[i] - m0) * v0 + ((double)x1[i] - m1) * v1                                              \
                + ((double)x2[i] - m2) * v2 + ((double)x3[i] - m3) * v3;                                             \
}                                                                                                                    \
FR_LEAF void fr_row_##S(ptrdiff_t p, const T *x, const double *m, double v, double *out) {                           \
    FR_PRAGMA(omp simd)                                                                                              \
    for (ptrdiff_t j = 0; j < p; j++) out[j] += ((double)x[j] - m[j]) * v;                                           \
}                                                                                                                    \
/* sum_j (x[j] - m[j]) w[j] */                                                                                       \
FR_LEAF double fr_rowdot_##S(ptrdiff_t p, const T *x, const double *m, const double *w) {                            \
    double s = 0;                                                                                                    \
    FR_PRAGMA(omp simd reduction(+:s))                                                                               \
    for (ptrdiff_t j = 0; j < p; j++) s += ((double)x[j] - m[j]) * w[j];                                             \
    return s;                                                                                                        \
}                                                                                                                    \
/* out[j] += v (x[j] - m[j])^2 */                                                                                    \
FR_LEAF void fr_rowsq_##S(ptrdiff_t p, const T *x, const double *m, double v, double *out) {                         \
    FR_PRAGMA(omp simd)                                                                                              \
    for (ptrdiff_t j = 0; j < p; j++) { double d = (double)x[j] - m[j]; out[j] += v * d * d; }                       \
}

FR_DENSE(double, f64)
FR_DENSE(float, f32)

/* ---- a sparse column (or row) of element type T and index type I ---------------------------------------------- */
#define FR_SPARSE(T, I, S)                                                                                           \
/* out[a] = x_j'v - mean[j] total, j = cols[a] (a itself without cols), for a in [lo, hi) */                          \
FR_LEAF void fr_spcols_##S(ptrdiff_t lo, ptrdiff_t hi, const int *cols, const T *x, const I *idx, const I *ptr,      \
                           const double *mean, const double *v, double total, double *out) {                         \
    for (ptrdiff_t a = lo; a < hi; a++) {                                                                            \
        ptrdiff_t j = cols ? cols[a] : a, first = (ptrdiff_t)ptr[j], nnz = (ptrdiff_t)ptr[j + 1] - first;            \
        const T *xj = x + first;                                                                                     \
        const I *ij = idx + first;                                                                                   \
        double s = 0;                                                                                                \
        if (nnz < 16) {                         /* most columns of text: not worth a vector loop */                  \
            for (ptrdiff_t k = 0; k < nnz; k++) s += (double)xj[k] * v[ij[k]];                                       \
        } else {                                                                                                     \
            FR_PRAGMA(omp simd reduction(+:s))                                                                       \
            for (ptrdiff_t k = 0; k < nnz; k++) s += (double)xj[k] * v[ij[k]];                                       \
        }                                                                                                            \
        out[a] = s - mean[j] * total;                                                                                \
    }                                                                                                                \
}

FR_SPARSE(double, int32_t, f64_i32)
FR_SPARSE(double, int64_t, f64_i64)
FR_SPARSE(float, int32_t, f32_i32)
FR_SPARSE(float, int64_t, f32_i64)

#define FR_MOMENTS(T, I, S, L)                                                                                       \
/* Of the n entries of a sparse column under L weightings, w[L i + l] and their roots (NULL: ones), into out, L at a \
 * time: weight of their rows, mean m (scale times the sum), sum w (x - m)^2, sum sqrt(w) |x| */                     \
FR_LEAF void fr_spmoments##L##_##S(ptrdiff_t n, const T *x, const I *idx, const double *w, const double *root,       \
                                   double scale, double *out) {                                                      \
    const double ones[4] = {1, 1, 1, 1};                                                                             \
    const ptrdiff_t step = w ? L : 0;                                                                                \
    double weight[L], mean[L], sq[L], norm1[L];                                                                      \
    if (!w) w = root = ones;                                                                                         \
    for (int l = 0; l < L; l++) weight[l] = mean[l] = sq[l] = norm1[l] = 0;                                          \
    for (ptrdiff_t k = 0; k < n; k++) {                                                                              \
        const double *wk = w + step * (ptrdiff_t)idx[k];                                                             \
        for (int l = 0; l < L; l++) weight[l] += wk[l];                                                              \
        for (int l = 0; l < L; l++) mean[l] += wk[l] * (double)x[k];                                                 \
    }                                                                                                                \
    for (int l = 0; l < L; l++) mean[l] *= scale;                                                                    \
    for (ptrdiff_t k = 0; k < n; k++) {                                                                              \
        const double *wk = w + step * (ptrdiff_t)idx[k], *rk = root + step * (ptrdiff_t)idx[k];                      \
        double xk = (double)x[k], size = fabs(xk);                                                                   \
        for (int l = 0; l < L; l++) { double u = xk - mean[l]; sq[l] += wk[l] * u * u; }                             \
        for (int l = 0; l < L; l++) norm1[l] += rk[l] * size;                                                        \
    }                                                                                                                \
    for (int l = 0; l < L; l++) {                                                                                    \
        out[l] = weight[l]; out[L + l] = mean[l]; out[2 * L + l] = sq[l]; out[3 * L + l] = norm1[l];                 \
    }                                                                                                                \
}
#define FR_MOMENTS_ALL(L)                                                                                            \
    FR_MOMENTS(double, int32_t, f64_i32, L)                                                                          \
    FR_MOMENTS(double, int64_t, f64_i64, L)                                                                          \
    FR_MOMENTS(float, int32_t, f32_i32, L)                                                                           \
    FR_MOMENTS(float, int64_t, f32_i64, L)

FR_MOMENTS_ALL(1)
FR_MOMENTS_ALL(4)

/* ---- L right-hand sides at once, interleaved: the entry of row i and side l lies at v[L i + l] ------------------ */
#define FR_SPARSE_LANES(T, I, S, L)                                                                                  \
/* out[l][a] = sum_i x_j[i] v_l[i] - mean_j total_l for sparse columns j = cols[a] (a itself without cols) */        \
FR_LEAF void fr_spcols##L##_##S(ptrdiff_t lo, ptrdiff_t hi, const int *cols, const T *x, const I *idx, const I *ptr, \
                                const double *mean, const double *v, const double *total, double *const *out) {      \
    for (ptrdiff_t a = lo; a < hi; a++) {                                                                            \
        ptrdiff_t j = cols ? cols[a] : a, k = (ptrdiff_t)ptr[j], end = (ptrdiff_t)ptr[j + 1];                        \
        double s[L], u[L];                                                                                           \
        for (int l = 0; l < L; l++) s[l] = u[l] = 0;                                                                 \
        for (; k < end - 1; k += 2) {           /* two sums: one alone waits for itself */                           \
            const double *v0 = v + L * (ptrdiff_t)idx[k], *v1 = v + L * (ptrdiff_t)idx[k + 1];                       \
            double x0 = (double)x[k], x1 = (double)x[k + 1];                                                         \
            if (k + 17 < end) {                 /* v seldom fits into the nearest cache */                           \
                FR_PREFETCH(v + L * (ptrdiff_t)idx[k + 16]);                                                         \
                FR_PREFETCH(v + L * (ptrdiff_t)idx[k + 17]);                                                         \
            }                                                                                                        \
            for (int l = 0; l < L; l++) s[l] += x0 * v0[l];                                                          \
            for (int l = 0; l < L; l++) u[l] += x1 * v1[l];                                                          \
        }                                                                                                            \
        for (int l = 0; l < L; l++)                                                                                  \
            out[l][a] = s[l] + u[l] + (k < end ? (double)x[k] * v[L * (ptrdiff_t)idx[k] + l] : 0) - mean[j] * total[l]; \
    }                                                                                                                \
}
#define FR_SPARSE_MANY(L)                                                                                            \
    FR_SPARSE_LANES(double, int32_t, f64_i32, L)                                                                     \
    FR_SPARSE_LANES(double, int64_t, f64_i64, L)                                                                     \
    FR_SPARSE_LANES(float, int32_t, f32_i32, L)                                                                      \
    FR_SPARSE_LANES(float, int64_t, f32_i64, L)

FR_SPARSE_MANY(4)
FR_SPARSE_MANY(8)

/* ---- float64 vectors ------------------------------------------------------------------------------------------ */
/* y += a0 x0 + a1 x1 + a2 x2 + a3 x3 */
FR_LEAF void fr_axpy4(ptrdiff_t n, const double *a, const double *x0, const double *x1, const double *x2,
                      const double *x3, double *y) {
    double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    FR_PRAGMA(omp simd)
    for (ptrdiff_t i = 0; i < n; i++) y[i] += a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i];
}
FR_LEAF void fr_axpy(ptrdiff_t n, double a, const double *x, double *y) {
    FR_PRAGMA(omp simd)
    for (ptrdiff_t i = 0; i < n; i++) y[i] += a * x[i];
}
FR_LEAF double fr_vdot(ptrdiff_t n, const double *x, const double *y) {
    double s = 0;
    FR_PRAGMA(omp simd reduction(+:s))
    for (ptrdiff_t i = 0; i < n; i++) s += x[i] * y[i];
    return s;
}
/* sum_i e_i^2 of leave-one-out errors e_i = (y[i] - fit[i]) / (own[i] - h[i]), which go to out unless it is NULL. A
 * row that the fit passes through keeps a denominator of rounding size. */
FR_LEAF double fr_loo(ptrdiff_t n, const double *y, const double *fit, const double *own, const double *h,
                      ptrdiff_t step, double *out) {
    double s = 0;
    if (out == NULL) {
        FR_PRAGMA(omp simd reduction(+:s))
        for (ptrdiff_t i = 0; i < n; i++) {
            double e = (y[i] - fit[i]) / (own[i] - h[i]);
            s += e * e;
        }
        return s;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double e = (y[i] - fit[i]) / (own[i] - h[i]);
        out[i * step] = e;
        s += e * e;
    }
    return s;
}
/* dots[k] += x_k'v and sums[k] += x_k'1 for four columns of leading dimension ld, read once */
FR_LEAF void fr_dotsum4(ptrdiff_t n, const double *x, ptrdiff_t ld, const double *v, double *dots, double *sums) {
    const double *x1 = x + ld, *x2 = x + 2 * ld, *x3 = x + 3 * ld;
    double d0 = 0, d1 = 0, d2 = 0, d3 = 0, s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    FR_PRAGMA(omp simd reduction(+:d0, d1, d2, d3, s0, s1, s2, s3))
    for (ptrdiff_t i = 0; i < n; i++) {
        d0 += x[i] * v[i]; d1 += x1[i] * v[i]; d2 += x2[i] * v[i]; d3 += x3[i] * v[i];
        s0 += x[i]; s1 += x1[i]; s2 += x2[i]; s3 += x3[i];
    }
    dots[0] += d0; dots[1] += d1; dots[2] += d2; dots[3] += d3;
    sums[0] += s0; sums[1] += s1; sums[2] += s2; sums[3] += s3;
}
/* Of m vectors z_i = z + i ld of length p: u_i += z_i'v (one at a time, as memory likes it) */
FR_LEAF void fr_dots(ptrdiff_t m, ptrdiff_t p, const double *z, ptrdiff_t ld, const double *v, double *u) {
    for (ptrdiff_t i = 0; i < m; i++) {
        const double *zi = z + i * ld;
        double s = 0;
        FR_PRAGMA(omp simd reduction(+:s))
        for (ptrdiff_t k = 0; k < p; k++) s += zi[k] * v[k];
        u[i] += s;
    }
}
/* out += sum_i u_i z_i */
FR_LEAF void fr_sums(ptrdiff_t m, ptrdiff_t p, const double *z, ptrdiff_t ld, const double *u, double *out) {
    ptrdiff_t i = 0;
    for (; i + 4 <= m; i += 4) {
        const double *z0 = z + i * ld, *z1 = z0 + ld, *z2 = z1 + ld, *z3 = z2 + ld;
        double u0 = u[i], u1 = u[i + 1], u2 = u[i + 2], u3 = u[i + 3];
        FR_PRAGMA(omp simd)
        for (ptrdiff_t k = 0; k < p; k++) out[k] += u0 * z0[k] + u1 * z1[k] + u2 * z2[k] + u3 * z3[k];
    }
    for (; i < m; i++) {
        const double *zi = z + i * ld;
        double ui = u[i];
        FR_PRAGMA(omp simd)
        for (ptrdiff_t k = 0; k < p; k++) out[k] += ui * zi[k];
    }
}
FR_LEAF double fr_maxabs(ptrdiff_t n, const double *x) {
    double s = 0;
    FR_PRAGMA(omp simd reduction(max:s))
    for (ptrdiff_t i = 0; i < n; i++) { double a = fabs(x[i]); s = a > s ? a : s; }
    return s;
}
/* one column of a rank-one Cholesky update: rotate (l, v) so that v loses its head (done by the caller) */
FR_LEAF void fr_rotate(ptrdiff_t n, double c, double s, double *l, double *v) {
    FR_PRAGMA(omp simd)
    for (ptrdiff_t i = 0; i < n; i++) { double t = c * l[i] + s * v[i]; v[i] = c * v[i] - s * l[i]; l[i] = t; }
}
/* Upper bound on |x_a' r| from stored passes: est = sum_k c_k g_k, err = min(n2 e2, n1 einf); n1 may be NULL */
FR_LEAF void fr_bound(ptrdiff_t m, int k, const double *c, const double *const *g, const double *n2, double e2,
                      const double *n1, double einf, double *est, double *err) {
    for (ptrdiff_t a = 0; a < m; a++) est[a] = c[0] * g[0][a];
    for (int q = 1; q < k; q++) {
        const double *gq = g[q]; double cq = c[q];
        FR_PRAGMA(omp simd)
        for (ptrdiff_t a = 0; a < m; a++) est[a] += cq * gq[a];
    }
    if (n1) {
        FR_PRAGMA(omp simd)
        for (ptrdiff_t a = 0; a < m; a++) { double u = n2[a] * e2, w = n1[a] * einf; err[a] = u < w ? u : w; }
    } else {
        FR_PRAGMA(omp simd)
        for (ptrdiff_t a = 0; a < m; a++) err[a] = n2[a] * e2;
    }
}
/* Largest |est| + err */
FR_LEAF double fr_highest(ptrdiff_t m, const double *est, const double *err) {
    double s = 0;
    FR_PRAGMA(omp simd reduction(max:s))
    for (ptrdiff_t a = 0; a < m; a++) { double u = fabs(est[a]) + err[a]; s = u > s ? u : s; }
    return s;
}
/* g = the line through last and est, t further on, where both are exact (errors 0); else g, less doubt * g_err */
FR_LEAF void fr_continue(ptrdiff_t m, double t, const double *est, const double *err, const double *last,
                         const double *last_err, double doubt, const double *g_err, double *g) {
    FR_PRAGMA(omp simd)
    for (ptrdiff_t a = 0; a < m; a++) {
        double line = est[a] + t * (est[a] - last[a]), s = fabs(g[a]) - doubt * g_err[a];
        s = s > 0 ? s : 0;
        g[a] = err[a] + last_err[a] == 0 ? line : (g[a] > 0 ? s : -s);
    }
}
/* rows of a working block kept as lists of (position, value) */
static inline double fr_list_dot(ptrdiff_t len, const int32_t *pos, const double *val, const double *w) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;      /* four sums in turn: faster than vector gathers */
    ptrdiff_t k = 0;
    for (; k + 4 <= len; k += 4) {
        s0 += val[k] * w[pos[k]]; s1 += val[k + 1] * w[pos[k + 1]];
        s2 += val[k + 2] * w[pos[k + 2]]; s3 += val[k + 3] * w[pos[k + 3]];
    }
    for (; k < len; k++) s0 += val[k] * w[pos[k]];
    return (s0 + s1) + (s2 + s3);
}
#define FR_LIST_LANES(L)                                                                                             \
/* out[l] = sum_k val[k] w[L pos[k] + l] */                                                                          \
FR_LEAF void fr_list_dot##L(ptrdiff_t len, const int32_t *pos, const double *val, const double *w, double *out) {    \
    double s[L], u[L];                                                                                               \
    ptrdiff_t k = 0;                                                                                                 \
    for (int l = 0; l < L; l++) s[l] = u[l] = 0;                                                                     \
    for (; k < len - 1; k += 2) {                                                                                    \
        const double *w0 = w + L * (ptrdiff_t)pos[k], *w1 = w + L * (ptrdiff_t)pos[k + 1];                           \
        for (int l = 0; l < L; l++) s[l] += val[k] * w0[l];                                                          \
        for (int l = 0; l < L; l++) u[l] += val[k + 1] * w1[l];                                                      \
    }                                                                                                                \
    for (int l = 0; l < L; l++) out[l] = s[l] + u[l] + (k < len ? val[k] * w[L * (ptrdiff_t)pos[k] + l] : 0);        \
}                                                                                                                    \
/* out[L pos[k] + l] += a[l] val[k] */                                                                               \
FR_LEAF void fr_list_add##L(ptrdiff_t len, const int32_t *pos, const double *val, const double *a, double *out) {    \
    double b[L];                                                                                                     \
    for (int l = 0; l < L; l++) b[l] = a[l];                                                                         \
    for (ptrdiff_t k = 0; k < len; k++) {                                                                            \
        double *o = out + L * (ptrdiff_t)pos[k];                                                                     \
        for (int l = 0; l < L; l++) o[l] += b[l] * val[k];                                                           \
    }                                                                                                                \
}
FR_LIST_LANES(4)
FR_LIST_LANES(8)

static inline void fr_list_add(ptrdiff_t len, const int32_t *pos, const double *val, double a, double *out) {
    for (ptrdiff_t k = 0; k < len; k++) out[pos[k]] += a * val[k];
}
/* Products with X'SX, L vectors at a time, interleaved: v[L j + l]. By rows, [lo, hi): z_i = x_i'v - level,
 * out += s_i z_i x_i, total += s_i z_i (s NULL: ones; z NULL: not wanted). By columns: the two halves of it.
 * rows2 takes one vector whose elements lie D = 2 apart, for out to lie between them. */
#define FR_NORMAL(S, T, IS, I, N, L, D)                                                                              \
FR_LEAF void fr_normal_rows##N##_##S##_##IS(ptrdiff_t lo, ptrdiff_t hi, const T *x, const I *idx, const I *ptr,       \
                                            const double *level, const double *s, const double *v, double *z,        \
                                            double *out, double *total) {                                            \
    for (ptrdiff_t i = lo; i < hi; i++) {                                                                            \
        double a[L], b[L], w = s ? s[i] : 1;                                                                         \
        ptrdiff_t e = (ptrdiff_t)ptr[i], end = (ptrdiff_t)ptr[i + 1];                                                \
        for (int l = 0; l < L; l++) { a[l] = -level[l]; b[l] = 0; }                                                  \
        if (L == 1) {                           /* four sums in turn: faster than vector gathers */                  \
            double t0 = 0, t1 = 0, t2 = 0, t3 = 0;                                                                   \
            for (; e + 8 <= end; e += 4) {      /* short rows: each loop ends in a branch that is not foreseen */    \
                t0 += (double)x[e] * v[D * (ptrdiff_t)idx[e]];                                                       \
                t1 += (double)x[e + 1] * v[D * (ptrdiff_t)idx[e + 1]];                                               \
                t2 += (double)x[e + 2] * v[D * (ptrdiff_t)idx[e + 2]];                                               \
                t3 += (double)x[e + 3] * v[D * (ptrdiff_t)idx[e + 3]];                                               \
            }                                                                                                        \
            for (; e < end; e++) t0 += (double)x[e] * v[D * (ptrdiff_t)idx[e]];                                      \
            b[0] = (t0 + t1) + (t2 + t3);                                                                            \
        } else {                                                                                                     \
            for (; e < end - 1; e += 2) {                                                                            \
                for (int l = 0; l < L; l++) a[l] += (double)x[e] * v[L * (ptrdiff_t)idx[e] + l];                     \
                for (int l = 0; l < L; l++) b[l] += (double)x[e + 1] * v[L * (ptrdiff_t)idx[e + 1] + l];             \
            }                                                                                                        \
            if (e < end) for (int l = 0; l < L; l++) a[l] += (double)x[e] * v[L * (ptrdiff_t)idx[e] + l];            \
        }                                                                                                            \
        for (int l = 0; l < L; l++) {                                                                                \
            a[l] += b[l];                                                                                            \
            if (z) z[L * i + l] = a[l];                                                                              \
            total[l] += a[l] = w != 0 ? a[l] * w : 0;   /* without weight it may be infinite */                      \
        }                                                                                                            \
        if (w == 0) continue;                                                                                        \
        for (e = (ptrdiff_t)ptr[i]; e < end; e++)                                                                    \
            for (int l = 0; l < L; l++) out[D * (ptrdiff_t)idx[e] + l] += a[l] * (double)x[e];                       \
    }                                                                                                                \
}
#define FR_SCATTER(S, T, IS, I, L)                                                                                   \
/* z += x_j v_j over columns [lo, hi) */                                                                             \
FR_LEAF void fr_scatter##L##_##S##_##IS(ptrdiff_t lo, ptrdiff_t hi, const T *x, const I *idx, const I *ptr,           \
                                        const double *v, double *z) {                                                \
    for (ptrdiff_t j = lo; j < hi; j++)                                                                              \
        for (ptrdiff_t e = (ptrdiff_t)ptr[j]; e < (ptrdiff_t)ptr[j + 1]; e++)                                        \
            for (int l = 0; l < L; l++) z[L * (ptrdiff_t)idx[e] + l] += v[L * j + l] * (double)x[e];                 \
}
#define FR_NORMAL_LANES(S, T, IS, I)                                                                                 \
FR_NORMAL(S, T, IS, I, 1, 1, 1) FR_NORMAL(S, T, IS, I, 2, 1, 2)                                                      \
FR_NORMAL(S, T, IS, I, 4, 4, 4) FR_NORMAL(S, T, IS, I, 8, 8, 8)                                                      \
FR_SCATTER(S, T, IS, I, 1) FR_SCATTER(S, T, IS, I, 4) FR_SCATTER(S, T, IS, I, 8)
FR_NORMAL_LANES(f64, double, i32, int32_t)
FR_NORMAL_LANES(f64, double, i64, int64_t)
FR_NORMAL_LANES(f32, float, i32, int32_t)
FR_NORMAL_LANES(f32, float, i64, int64_t)
/* Conjugate gradients: q += d p (0 where d is infinite) and p'q; w += a p, r -= a q, out = (r'M r, r'r);
 * p = M r + b p */
FR_LEAF double fr_curvature(ptrdiff_t n, const double *d, const double *p, double *q) {
    double s = 0;
    FR_PRAGMA(omp simd reduction(+:s))
    for (ptrdiff_t j = 0; j < n; j++) {
        double t = d[j] < INFINITY ? q[j] + d[j] * p[j] : 0;
        q[j] = t; s += t * p[j];
    }
    return s;
}
FR_LEAF void fr_advance(ptrdiff_t n, double a, const double *p, const double *q, const double *m, double *w,
                        double *r, double *out) {
    double s = 0, t = 0;
    FR_PRAGMA(omp simd reduction(+:s, t))
    for (ptrdiff_t j = 0; j < n; j++) {
        double v = r[j] - a * q[j];
        w[j] += a * p[j]; r[j] = v; s += m[j] * v * v; t += v * v;
    }
    out[0] = s; out[1] = t;
}
FR_LEAF void fr_direction(ptrdiff_t n, double b, const double *m, const double *r, double *p) {
    FR_PRAGMA(omp simd)
    for (ptrdiff_t j = 0; j < n; j++) p[j] = m[j] * r[j] + b * p[j];
}

/* ---- which of them, by the types of x and of its indices: chosen when compiled ------------------------------------ */
#define FR_OF_TYPE(name, x) \
    _Generic((x), const double *: name##_f64, double *: name##_f64, const float *: name##_f32, float *: name##_f32)
#define FR_OF_TYPES(name, x, idx)                                                                                    \
    _Generic((x),                                                                                                    \
             const double *: _Generic((idx), const int32_t *: name##_f64_i32, const int64_t *: name##_f64_i64),      \
             const float *: _Generic((idx), const int32_t *: name##_f32_i32, const int64_t *: name##_f32_i64))
#define fr_dot(n, x, ...) FR_OF_TYPE(fr_dot, x)(n, x, __VA_ARGS__)
#define fr_dot4(n, x, ...) FR_OF_TYPE(fr_dot4, x)(n, x, __VA_ARGS__)
#define fr_sum4(n, x, ...) FR_OF_TYPE(fr_sum4, x)(n, x, __VA_ARGS__)
#define fr_sqdot4(n, x, ...) FR_OF_TYPE(fr_sqdot4, x)(n, x, __VA_ARGS__)
#define fr_load(n, x, ...) FR_OF_TYPE(fr_load, x)(n, x, __VA_ARGS__)
#define fr_rows4(p, x, ...) FR_OF_TYPE(fr_rows4, x)(p, x, __VA_ARGS__)
#define fr_comb4(n, x, ...) FR_OF_TYPE(fr_comb4, x)(n, x, __VA_ARGS__)
#define fr_row(p, x, ...) FR_OF_TYPE(fr_row, x)(p, x, __VA_ARGS__)
#define fr_rowdot(p, x, ...) FR_OF_TYPE(fr_rowdot, x)(p, x, __VA_ARGS__)
#define fr_rowsq(p, x, ...) FR_OF_TYPE(fr_rowsq, x)(p, x, __VA_ARGS__)
#define fr_spcols(lo, hi, cols, x, idx, ...) FR_OF_TYPES(fr_spcols, x, idx)(lo, hi, cols, x, idx, __VA_ARGS__)
#define fr_spcols4(lo, hi, cols, x, idx, ...) FR_OF_TYPES(fr_spcols4, x, idx)(lo, hi, cols, x, idx, __VA_ARGS__)
#define fr_spcols8(lo, hi, cols, x, idx, ...) FR_OF_TYPES(fr_spcols8, x, idx)(lo, hi, cols, x, idx, __VA_ARGS__)
#define fr_spmoments1(n, x, idx, ...) FR_OF_TYPES(fr_spmoments1, x, idx)(n, x, idx, __VA_ARGS__)
#define fr_spmoments4(n, x, idx, ...) FR_OF_TYPES(fr_spmoments4, x, idx)(n, x, idx, __VA_ARGS__)
#define fr_normal_rows1(lo, hi, x, idx, ...) FR_OF_TYPES(fr_normal_rows1, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#define fr_normal_rows2(lo, hi, x, idx, ...) FR_OF_TYPES(fr_normal_rows2, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#define fr_normal_rows4(lo, hi, x, idx, ...) FR_OF_TYPES(fr_normal_rows4, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#define fr_normal_rows8(lo, hi, x, idx, ...) FR_OF_TYPES(fr_normal_rows8, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#define fr_scatter1(lo, hi, x, idx, ...) FR_OF_TYPES(fr_scatter1, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#define fr_scatter4(lo, hi, x, idx, ...) FR_OF_TYPES(fr_scatter4, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#define fr_scatter8(lo, hi, x, idx, ...) FR_OF_TYPES(fr_scatter8, x, idx)(lo, hi, x, idx, __VA_ARGS__)
#endif
