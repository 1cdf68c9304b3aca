# Declarations of leaf.h: see there for the formula of each leaf.
from libc.stdint cimport int32_t

cdef extern from "leaf.h" nogil:
    const char *fr_simd_level() noexcept
    # by the types of x and its indices: double or float, int32_t or int64_t
    void fr_dot4(Py_ssize_t n, const void *x0, const void *x1, const void *x2, const void *x3, const double *m,
                 const double *v, double *out) noexcept
    double fr_dot(Py_ssize_t n, const void *x, double m, const double *v) noexcept
    void fr_sum4(Py_ssize_t n, const void *x0, const void *x1, const void *x2, const void *x3, double *out) noexcept
    void fr_sqdot4(Py_ssize_t n, const void *x0, const void *x1, const void *x2, const void *x3, const double *m,
                   const double *w, const double *v, double *sq, double *dot) noexcept
    void fr_load(Py_ssize_t n, const void *x, double m, const double *q, double *out) noexcept
    void fr_rows4(Py_ssize_t p, const void *x0, const void *x1, const void *x2, const void *x3, const double *m,
                  const double *v, double *out) noexcept
    void fr_comb4(Py_ssize_t n, const void *x0, const void *x1, const void *x2, const void *x3, const double *m,
                  const double *v, double *out) noexcept
    double fr_rowdot(Py_ssize_t p, const void *x, const double *m, const double *w) noexcept
    void fr_row(Py_ssize_t p, const void *x, const double *m, double v, double *out) noexcept
    void fr_rowsq(Py_ssize_t p, const void *x, const double *m, double v, double *out) noexcept
    void fr_spcols(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const void *x, const void *idx, const void *ptr,
                   const double *mean, const double *v, double total, double *out) noexcept
    void fr_spmoments1(Py_ssize_t n, const void *x, const void *idx, const double *w, const double *root,
                       double scale, double *out) noexcept
    void fr_spmoments4(Py_ssize_t n, const void *x, const void *idx, const double *w, const double *root,
                       double scale, double *out) noexcept
    void fr_spcols4(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const void *x, const void *idx, const void *ptr,
                    const double *mean, const double *v, const double *total, double *const *out) noexcept
    void fr_spcols8(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const void *x, const void *idx, const void *ptr,
                    const double *mean, const double *v, const double *total, double *const *out) noexcept
    void fr_normal_rows1(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr,
                         const double *level, const double *s, const double *v, double *z, double *out,
                         double *total) noexcept
    void fr_normal_rows2(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr,
                         const double *level, const double *s, const double *v, double *z, double *out,
                         double *total) noexcept
    void fr_scatter1(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr, const double *v,
                     double *z) noexcept
    void fr_normal_rows4(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr,
                         const double *level, const double *s, const double *v, double *z, double *out,
                         double *total) noexcept
    void fr_scatter4(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr, const double *v,
                     double *z) noexcept
    void fr_normal_rows8(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr,
                         const double *level, const double *s, const double *v, double *z, double *out,
                         double *total) noexcept
    void fr_scatter8(Py_ssize_t lo, Py_ssize_t hi, const void *x, const void *idx, const void *ptr, const double *v,
                     double *z) noexcept
    # of float64 vectors
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
    void fr_list_dot4(Py_ssize_t len, const int32_t *pos, const double *val, const double *w, double *out) noexcept
    void fr_list_add4(Py_ssize_t len, const int32_t *pos, const double *val, const double *a, double *out) noexcept
    void fr_list_dot8(Py_ssize_t len, const int32_t *pos, const double *val, const double *w, double *out) noexcept
    void fr_list_add8(Py_ssize_t len, const int32_t *pos, const double *val, const double *a, double *out) noexcept
    double fr_curvature(Py_ssize_t n, const double *d, const double *p, double *q) noexcept
    void fr_advance(Py_ssize_t n, double a, const double *p, const double *q, const double *m, double *w, double *r,
                    double *out) noexcept
    void fr_direction(Py_ssize_t n, double b, const double *m, const double *r, double *p) noexcept
