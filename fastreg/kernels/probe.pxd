# Sums of products S = sum_i z_i z_i' held against the rows that they sum: S v against sum_i z_i (z_i'v).

cdef struct Probe:
    Py_ssize_t q, lanes, rows
    double *v            # signs over sizes of the elements of z
    double *lane         # of each lane: sum_i z_i (z_i'v) (q), its last block's (q), z_i'v of a block (rows)

cdef int probe_init(Probe *probe, Py_ssize_t q, Py_ssize_t lanes, Py_ssize_t rows) except -1 nogil
cdef void probe_free(Probe *probe) noexcept nogil
cdef void probe_sizes(Probe *probe) noexcept nogil
cdef double *probe_products(Probe *probe, Py_ssize_t lane) noexcept nogil
cdef void probe_block(Probe *probe, Py_ssize_t lane, bint across, Py_ssize_t m, Py_ssize_t p, const double *B,
                      Py_ssize_t ld) noexcept nogil
cdef double *probe_sums(Probe *probe, Py_ssize_t lane) noexcept nogil
cdef double probe_excess(Probe *probe, Py_ssize_t lane, const double *S, Py_ssize_t checked,
                         Py_ssize_t additions) noexcept nogil
cdef int probe_failed(double excess) except -1 nogil
