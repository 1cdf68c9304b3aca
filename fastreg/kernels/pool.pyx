"""Arrays with an owner: they live as long as their pool, and are freed with it."""
from libc.stdlib cimport free

from fastreg.kernels.memory cimport grow, zeros


cdef class Pool:
    """Hands out arrays, of zeros or with room for what is to come, to be asked for while an object is made."""

    def __dealloc__(self):
        cdef Py_ssize_t k
        for k in range(self.n_held):
            free(self.held[k])
        free(self.held)

    cdef void *take(self, size_t size, bint zeroed=True) except NULL:
        cdef void *new = NULL
        if self.n_held == self.room:
            grow(<void **> &self.held, (2 * self.room + 16) * sizeof(void *))
            self.room = 2 * self.room + 16
        if zeroed:
            new = zeros(size)
        else:
            grow(&new, size)
        self.held[self.n_held] = new
        self.n_held += 1
        return new

    cdef double *doubles(self, Py_ssize_t n) except NULL:
        return <double *> self.take(n * sizeof(double))

    cdef int *ints(self, Py_ssize_t n) except NULL:
        return <int *> self.take(n * sizeof(int))

    cdef char *flags(self, Py_ssize_t n) except NULL:
        return <char *> self.take(n)

    cdef double *room_for_doubles(self, Py_ssize_t n) except NULL:
        return <double *> self.take(n * sizeof(double), False)

    cdef int *room_for_ints(self, Py_ssize_t n) except NULL:
        return <int *> self.take(n * sizeof(int), False)
