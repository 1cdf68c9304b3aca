# Declarations of leaf.h: see there for the formula of each leaf.
from libc.stdint cimport int32_t, int64_t

cdef extern from "leaf.h" nogil:
    const char *fr_simd_level() noexcept
    void fr_dot4_f64(Py_ssize_t n, const double *x0, const double *x1, const double *x2, const double *x3,
                     const double *m, const double *v, double *out) noexcept
    void fr_dot4_f32(Py_ssize_t n, const float *x0, const float *x1, const float *x2, const float *x3,
                     const double *m, const double *v, double *out) noexcept
    double fr_dot_f64(Py_ssize_t n, const double *x, double m, const double *v) noexcept
    double fr_dot_f32(Py_ssize_t n, const float *x, double m, const double *v) noexcept
    void fr_sum4_f64(Py_ssize_t n, const double *x0, const double *x1, const double *x2, const double *x3,
                     double *out) noexcept
    void fr_sqdot4_f64(Py_ssize_t n, const double *x0, const double *x1, const double *x2, const double *x3,
                       const double *m, const double *w, const double *v, double *sq, double *dot) noexcept
    void fr_sum4_f32(Py_ssize_t n, const float *x0, const float *x1, const float *x2, const float *x3,
                     double *out) noexcept
    void fr_sqdot4_f32(Py_ssize_t n, const float *x0, const float *x1, const float *x2, const float *x3,
                       const double *m, const double *w, const double *v, double *sq, double *dot) noexcept
    void fr_load_f64(Py_ssize_t n, const double *x, double m, const double *q, double *out) noexcept
    void fr_load_f32(Py_ssize_t n, const float *x, double m, const double *q, double *out) noexcept
    void fr_rows4_f64(Py_ssize_t p, const double *x0, const double *x1, const double *x2, const double *x3,
                      const double *m, const double *v, double *out) noexcept
    void fr_rows4_f32(Py_ssize_t p, const float *x0, const float *x1, const float *x2, const float *x3,
                      const double *m, const double *v, double *out) noexcept
    void fr_comb4_f64(Py_ssize_t n, const double *x0, const double *x1, const double *x2, const double *x3,
                      const double *m, const double *v, double *out) noexcept
    double fr_rowdot_f64(Py_ssize_t p, const double *x, const double *m, const double *w) noexcept
    void fr_comb4_f32(Py_ssize_t n, const float *x0, const float *x1, const float *x2, const float *x3,
                      const double *m, const double *v, double *out) noexcept
    double fr_rowdot_f32(Py_ssize_t p, const float *x, const double *m, const double *w) noexcept
    void fr_row_f64(Py_ssize_t p, const double *x, const double *m, double v, double *out) noexcept
    void fr_row_f32(Py_ssize_t p, const float *x, const double *m, double v, double *out) noexcept
    void fr_rowsq_f64(Py_ssize_t p, const double *x, const double *m, double v, double *out) noexcept
    void fr_rowsq_f32(Py_ssize_t p, const float *x, const double *m, double v, double *out) noexcept
    void fr_spcols_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const double *x, const int32_t *idx,
                           const int32_t *ptr, const double *mean, const double *v, double total,
                           double *out) noexcept
    void fr_spcols_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const double *x, const int64_t *idx,
                           const int64_t *ptr, const double *mean, const double *v, double total,
                           double *out) noexcept
    void fr_spcols_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const float *x, const int32_t *idx,
                           const int32_t *ptr, const double *mean, const double *v, double total,
                           double *out) noexcept
    void fr_spcols_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const float *x, const int64_t *idx,
                           const int64_t *ptr, const double *mean, const double *v, double total,
                           double *out) noexcept
    void fr_spmoments1_f64_i32(Py_ssize_t n, const double *x, const int32_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments1_f64_i64(Py_ssize_t n, const double *x, const int64_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments1_f32_i32(Py_ssize_t n, const float *x, const int32_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments1_f32_i64(Py_ssize_t n, const float *x, const int64_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments4_f64_i32(Py_ssize_t n, const double *x, const int32_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments4_f64_i64(Py_ssize_t n, const double *x, const int64_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments4_f32_i32(Py_ssize_t n, const float *x, const int32_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_spmoments4_f32_i64(Py_ssize_t n, const float *x, const int64_t *idx, const double *w,
                               const double *root, double scale, double *out) noexcept
    void fr_axpy4(Py_ssize_t n, const double *a, const double *x0, const double *x1, const double *x2,
                  const double *x3, double *y) noexcept
    void fr_axpy(Py_ssize_t n, double a, const double *x, double *y) noexcept
    double fr_vdot(Py_ssize_t n, const double *x, const double *y) noexcept
    double fr_loo(Py_ssize_t n, const double *y, const double *fit, const double *own, const double *h,
                  Py_ssize_t step, double *out) noexcept
    void fr_dotsum4(Py_ssize_t n, const double *x, Py_ssize_t ld, const double *v, double *dots,
                    double *sums) noexcept
    void fr_dots(Py_ssize_t m, Py_ssize_t p, const double *z, Py_ssize_t ld, const double *v, double *u) noexcept
    void fr_sums(Py_ssize_t m, Py_ssize_t p, const double *z, Py_ssize_t ld, const double *u, double *out) noexcept
    double fr_maxabs(Py_ssize_t n, const double *x) noexcept
    void fr_rotate(Py_ssize_t n, double c, double s, double *l, double *v) noexcept
    void fr_bound(Py_ssize_t m, int k, const double *c, const double *const *g, const double *n2, double e2,
                  const double *n1, double einf, double *est, double *err) noexcept
    double fr_highest(Py_ssize_t m, const double *est, const double *err) noexcept
    void fr_continue(Py_ssize_t m, double t, const double *est, const double *err, const double *last,
                     const double *last_err, double doubt, const double *g_err, double *g) noexcept
    double fr_list_dot(Py_ssize_t len, const int32_t *pos, const double *val, const double *w) noexcept
    void fr_list_add(Py_ssize_t len, const int32_t *pos, const double *val, double a, double *out) noexcept
    void fr_spcols4_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const double *x, const int32_t *idx,
                            const int32_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols4_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const double *x, const int64_t *idx,
                            const int64_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols4_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const float *x, const int32_t *idx,
                            const int32_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols4_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const float *x, const int64_t *idx,
                            const int64_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols8_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const double *x, const int32_t *idx,
                            const int32_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols8_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const double *x, const int64_t *idx,
                            const int64_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols8_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const float *x, const int32_t *idx,
                            const int32_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_spcols8_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const float *x, const int64_t *idx,
                            const int64_t *ptr, const double *mean, const double *v, const double *total,
                            double *const *out) noexcept
    void fr_list_dot4(Py_ssize_t len, const int32_t *pos, const double *val, const double *w, double *out) noexcept
    void fr_list_add4(Py_ssize_t len, const int32_t *pos, const double *val, const double *a, double *out) noexcept
    void fr_list_dot8(Py_ssize_t len, const int32_t *pos, const double *val, const double *w, double *out) noexcept
    void fr_list_add8(Py_ssize_t len, const int32_t *pos, const double *val, const double *a, double *out) noexcept
    void fr_normal_rows1_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_normal_rows2_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter1_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows4_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter4_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows8_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter8_f64_i32(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int32_t *idx, const int32_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows1_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_normal_rows2_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter1_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows4_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter4_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows8_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter8_f64_i64(Py_ssize_t lo, Py_ssize_t hi, const double *x, const int64_t *idx, const int64_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows1_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_normal_rows2_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter1_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows4_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter4_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows8_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter8_f32_i32(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int32_t *idx, const int32_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows1_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_normal_rows2_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter1_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows4_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter4_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                             const double *v, double *z) noexcept
    void fr_normal_rows8_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                                 const double *level, const double *s, const double *v, double *z, double *out,
                                 double *total) noexcept
    void fr_scatter8_f32_i64(Py_ssize_t lo, Py_ssize_t hi, const float *x, const int64_t *idx, const int64_t *ptr,
                             const double *v, double *z) noexcept
    double fr_curvature(Py_ssize_t n, const double *d, const double *p, double *q) noexcept
    void fr_advance(Py_ssize_t n, double a, const double *p, const double *q, const double *m, double *w, double *r,
                    double *out) noexcept
    void fr_direction(Py_ssize_t n, double b, const double *m, const double *r, double *p) noexcept
