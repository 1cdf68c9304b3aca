from fastreg.kernels.csx cimport normal_verb

cdef normal_verb sparse_normal(bint single, bint wide) noexcept
