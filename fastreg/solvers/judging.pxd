from fastreg.kernels.quadratic cimport Quad

cdef double penalty_slope(const Quad *q, const double *before, const double *step, double part) noexcept nogil
cdef double penalty_risen(const Quad *q, const double *before, const double *step, double part) noexcept nogil
cdef double violation_of(const Quad *q, const int *cols, const double *norm, double *times) noexcept nogil
