/* Exponential and logarithm of many numbers, and the losses made of them: loops without branches or calls, which
 * compilers turn into SIMD. exp and log1p are within two units in the last place, curvatures of the logistic loss within
 * five; a number gives the same bits wherever it stands. */
#ifndef FASTREG_VECTOR_H
#define FASTREG_VECTOR_H
#include <string.h>
#include "leaf.h"

#define FR_INLINE FR_UNUSED static inline __attribute__((always_inline))
#define FR_AT_ONCE 256

FR_INLINE uint64_t fr_bits(double x) { uint64_t b; memcpy(&b, &x, sizeof b); return b; }
FR_INLINE double fr_double(uint64_t b) { double x; memcpy(&x, &b, sizeof x); return x; }

/* 2^k e^r, k the nearest integer to x / log 2 and |r| < 0.35: Taylor's polynomial of degree 13 leaves 5e-18. 2^k comes
 * in two factors, so that small results lose their digits one by one; infinite beyond 709.8, NaN where x is. */
FR_INLINE double fr_exp1(double x) {
    const double magic = 0x1.8p52, low = -746, high = 710;
    double t, k, r, p;
    uint64_t n, half;
    x = x < low ? low : x;
    x = x > high ? high : x;
    t = x * 0x1.71547652b82fep+0 + magic;
    k = t - magic;
    r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
    p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = (p * r) * r + r + 1;
    n = fr_bits(t) - fr_bits(magic) + 2048;               /* k + 2048 */
    half = n >> 1;
    return (p * fr_double((half - 1) << 52)) * fr_double((n - half - 1) << 52);
}

/* log(1 + e) for 0 <= e <= 1: 2 atanh(f / (2 + f)) of f = e, or of 1 + f = (1 + e) / 2 where that is nearer to 1. */
FR_INLINE double fr_log1p1(double e) {
    int far = e > 0.41421356237309503;
    double f = far ? 0.5 * (e - 1) : e, s = f / (2 + f), q = s * s, p;
    p = 1.0 / 21;
    p = p * q + 1.0 / 19;
    p = p * q + 1.0 / 17;
    p = p * q + 1.0 / 15;
    p = p * q + 1.0 / 13;
    p = p * q + 1.0 / 11;
    p = p * q + 1.0 / 9;
    p = p * q + 1.0 / 7;
    p = p * q + 1.0 / 5;
    p = p * q + 1.0 / 3;
    p = (p * q) * (2 * s) + 2 * s;
    return far ? p + 0x1.62e42fefa39efp-1 : p;
}

FR_LEAF void fr_exp(ptrdiff_t n, const double *x, double *out) {
    FR_PRAGMA(omp simd)
    for (ptrdiff_t i = 0; i < n; i++) out[i] = fr_exp1(x[i]);
}

/* f = log(1 + exp(-y eta)), its derivative and curvature in eta, each unless NULL, for y of -1 and 1. With
 * e = exp(-|y eta|), the likelier side has the probability 1 / (1 + e). */
FR_LEAF void fr_logistic(ptrdiff_t n, const double *y, const double *eta, double *f, double *g, double *h) {
    double e[FR_AT_ONCE];
    for (ptrdiff_t first = 0; first < n; first += FR_AT_ONCE) {
        ptrdiff_t m = n - first < FR_AT_ONCE ? n - first : FR_AT_ONCE;
        const double *yi = y + first, *x = eta + first;
        FR_PRAGMA(omp simd)
        for (ptrdiff_t i = 0; i < m; i++) e[i] = fr_exp1(-fabs(yi[i] * x[i]));
        if (f) {
            FR_PRAGMA(omp simd)
            for (ptrdiff_t i = 0; i < m; i++) {
                double t = yi[i] * x[i];
                f[first + i] = fr_log1p1(e[i]) + (t > 0 ? 0 : -t);
            }
        }
        if (g) {
            FR_PRAGMA(omp simd)
            for (ptrdiff_t i = 0; i < m; i++) {
                double t = yi[i] * x[i];
                g[first + i] = -yi[i] * ((t > 0 ? e[i] : 1) / (1 + e[i]));
            }
        }
        if (h) {
            FR_PRAGMA(omp simd)
            for (ptrdiff_t i = 0; i < m; i++) {
                double even = 1 / (1 + e[i]);
                h[first + i] = e[i] * even * even;
            }
        }
    }
}

/* Of each row the relative entropy of the probabilities (1 - d) q and q of the other label, 0 < d <= 1:
 * q k(-d) + (1 - q) k(x), k(x) = (1 + x) log(1 + x) - x, in terms that are not negative; x = d q / (1 - q), a power
 * series where it is small. of_d: k(-d), log_d: log d. */
FR_LEAF void fr_logistic_excess(ptrdiff_t n, const double *y, const double *eta, double d, double of_d, double log_d,
                                double *out) {
    double e[FR_AT_ONCE];
    for (ptrdiff_t first = 0; first < n; first += FR_AT_ONCE) {
        ptrdiff_t m = n - first < FR_AT_ONCE ? n - first : FR_AT_ONCE;
        const double *yi = y + first, *at = eta + first;
        FR_PRAGMA(omp simd)
        for (ptrdiff_t i = 0; i < m; i++) e[i] = fr_exp1(-fabs(yi[i] * at[i]));
        FR_PRAGMA(omp simd)
        for (ptrdiff_t i = 0; i < m; i++) {
            double t = -yi[i] * at[i], even = 1 / (1 + e[i]), less = e[i] * even;
            double q = t > 0 ? even : less, rest = t > 0 ? less : even;
            double x = t > 0 ? d / e[i] : d * e[i], dq = d * q, series, whole;
            series = 1.0 / 56;
            series = 1.0 / 42 - x * series;
            series = 1.0 / 30 - x * series;
            series = 1.0 / 20 - x * series;
            series = 1.0 / 12 - x * series;
            series = 1.0 / 6 - x * series;
            series = (0.5 - x * series) * x * dq;
            whole = (rest + dq) * (fr_log1p1(x > 1 ? 1 / x : x) + (x > 1 ? log_d + t : 0)) - dq;
            out[first + i] = q * of_d + (x < 0.01 ? series : whole);
        }
    }
}
#endif
