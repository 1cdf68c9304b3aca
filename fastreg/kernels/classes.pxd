# Several classes on the same rows: sums over the others, their loss, what moves all of them at once.

# y, linear, offset, after: (K, n), y being 1 in rows of the class and -1 elsewhere; s: weights, NULL for ones
cdef void classes_begin(Py_ssize_t n, Py_ssize_t K, const double *linear, double *top, double *after) noexcept nogil
cdef void classes_offsets(Py_ssize_t n, Py_ssize_t K, const double *linear, double *top, double *after,
                          double *offset) noexcept nogil
cdef double classes_loss(Py_ssize_t n, Py_ssize_t K, const double *y, const double *s,
                         const double *linear) noexcept nogil
cdef void classes_model(Py_ssize_t n, Py_ssize_t K, Py_ssize_t m, const double *y, const double *s,
                        const double *linear, const double *offset, const double *z, double *work, double *H,
                        double *slope, double *size) noexcept nogil
cdef double classes_step(Py_ssize_t K, Py_ssize_t m, double *H, double *slope, const double *size, const char *held,
                         double reach, double *work, double *step) noexcept nogil
cdef void classes_fit(Py_ssize_t n, Py_ssize_t K, Py_ssize_t m, const double *y, const double *s, const double *z,
                      const double *lo, const double *hi, double *w, double *linear, double *top, double *after,
                      double *offset, double *work) noexcept nogil
cdef Py_ssize_t classes_fit_work(Py_ssize_t K, Py_ssize_t m) noexcept nogil
cdef bint cancelling(Py_ssize_t n, Py_ssize_t K, Py_ssize_t past, const double *s, const double *points, double *work,
                     double *share) noexcept nogil
cdef Py_ssize_t cancelling_work(Py_ssize_t past) noexcept nogil
cdef double least_shift(double *v, Py_ssize_t K, double l1, double l2) noexcept nogil
