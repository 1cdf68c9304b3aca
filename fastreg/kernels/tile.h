/* Inner products of four columns with three or four others in one reading of them: what a Gram matrix is made of. The
 * sums of a tile stay in registers, so that every element read serves as many products as the registers have room for:
 * sixteen vectors of sums where there are thirty-two registers (AVX-512), twelve where there are sixteen. */
#ifndef FASTREG_TILE_H
#define FASTREG_TILE_H
#include "leaf.h"

/* out[4 a + b] += sum_i u_a[i] v_b[i] */
FR_LEAF void fr_tile4(ptrdiff_t n, const double *const *u, const double *const *v, double *out) {
    const double *u0 = u[0], *u1 = u[1], *u2 = u[2], *u3 = u[3], *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = v[3];
    double s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
    double s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
    FR_PRAGMA(omp simd reduction(+:s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33))
    for (ptrdiff_t i = 0; i < n; i++) {
        double x0 = u0[i], x1 = u1[i], x2 = u2[i], x3 = u3[i], y;
        y = v0[i]; s00 += x0 * y; s10 += x1 * y; s20 += x2 * y; s30 += x3 * y;
        y = v1[i]; s01 += x0 * y; s11 += x1 * y; s21 += x2 * y; s31 += x3 * y;
        y = v2[i]; s02 += x0 * y; s12 += x1 * y; s22 += x2 * y; s32 += x3 * y;
        y = v3[i]; s03 += x0 * y; s13 += x1 * y; s23 += x2 * y; s33 += x3 * y;
    }
    out[0] += s00; out[1] += s01; out[2] += s02; out[3] += s03; out[4] += s10; out[5] += s11; out[6] += s12;
    out[7] += s13; out[8] += s20; out[9] += s21; out[10] += s22; out[11] += s23; out[12] += s30; out[13] += s31;
    out[14] += s32; out[15] += s33;
}
/* the same of three columns v, out[4 a + 3] being left as it is */
FR_LEAF void fr_tile3(ptrdiff_t n, const double *const *u, const double *const *v, double *out) {
    const double *u0 = u[0], *u1 = u[1], *u2 = u[2], *u3 = u[3], *v0 = v[0], *v1 = v[1], *v2 = v[2];
    double s00 = 0, s01 = 0, s02 = 0, s10 = 0, s11 = 0, s12 = 0;
    double s20 = 0, s21 = 0, s22 = 0, s30 = 0, s31 = 0, s32 = 0;
    FR_PRAGMA(omp simd reduction(+:s00, s01, s02, s10, s11, s12, s20, s21, s22, s30, s31, s32))
    for (ptrdiff_t i = 0; i < n; i++) {
        double y0 = v0[i], y1 = v1[i], y2 = v2[i], x;
        x = u0[i]; s00 += x * y0; s01 += x * y1; s02 += x * y2;
        x = u1[i]; s10 += x * y0; s11 += x * y1; s12 += x * y2;
        x = u2[i]; s20 += x * y0; s21 += x * y1; s22 += x * y2;
        x = u3[i]; s30 += x * y0; s31 += x * y1; s32 += x * y2;
    }
    out[0] += s00; out[1] += s01; out[2] += s02; out[4] += s10; out[5] += s11; out[6] += s12;
    out[8] += s20; out[9] += s21; out[10] += s22; out[12] += s30; out[13] += s31; out[14] += s32;
}
/* How many columns v a tile has here. */
static inline int fr_tile_width(void) {
    return fr_simd_level()[8] == '4' ? 4 : 3;
}
static inline void fr_tile(ptrdiff_t n, int width, const double *const *u, const double *const *v, double *out) {
    if (width == 4) fr_tile4(n, u, v, out);
    else fr_tile3(n, u, v, out);
}
#endif
