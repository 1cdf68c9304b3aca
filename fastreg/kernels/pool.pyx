"""Arrays with an owner: they live as long as their pool, and are freed with it."""
from libc.stdlib cimport free

from fastreg.kernels.memory cimport grow, zeros


cdef class Pool:
    """Hands out arrays of zeros, to be asked for while an object is made."""

    def __dealloc__(self):
        cdef Py_ssize_t k
        for k in range(self.n_held):
            free(self.held[k])
        free(self.held)

    cdef void *take(self, size_t size) except NULL:
        if self.n_held == self.room:
            grow(<void **> &self.held, (2 * self.room + 16) * sizeof(void *))
            self.room = 2 * self.room + 16
        self.held[self.n_held] = zeros(size)
        self.n_held += 1
        return self.held[self.n_held - 1]

    cdef double *doubles(self, Py_ssize_t n) except NULL:
        return <double *> self.take(n * sizeof(double))

    cdef int *ints(self, Py_ssize_t n) except NULL:
        return <int *> self.take(n * sizeof(int))

    cdef char *flags(self, Py_ssize_t n) except NULL:
        return <char *> self.take(n)
