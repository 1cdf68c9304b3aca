from fastreg.datafits.base cimport Datafit

cdef class Quadratic(Datafit):
    pass
