from fastreg.kernels.csx cimport moments_verb

cdef moments_verb sparse_moments(bint single, bint wide) noexcept
