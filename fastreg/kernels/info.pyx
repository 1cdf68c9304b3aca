"""What this build of fastreg can do."""
from fastreg.kernels.leaf cimport fr_simd_level

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #else
    static int omp_get_max_threads(void) { return 1; }
    static int omp_in_parallel(void) { return 0; }
    #endif
    #if defined(__clang__)
    #define FR_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FR_COMPILER "gcc " __VERSION__
    #else
    #define FR_COMPILER "unknown"
    #endif
    #ifdef _OPENMP
    #define FR_OPENMP _OPENMP
    #else
    #define FR_OPENMP 0
    #endif
    """
    const char *FR_COMPILER
    int FR_OPENMP
    int omp_get_max_threads() nogil
    int omp_in_parallel() nogil


def build_info():
    """Compiler, SIMD level in use and OpenMP of this build, as a dict."""
    return {
        "compiler": FR_COMPILER.decode(),
        "simd": fr_simd_level().decode(),
        "openmp": str(FR_OPENMP) if FR_OPENMP else "none",
        "openmp_max_threads": omp_get_max_threads(),
    }


def max_threads():
    """Threads OpenMP would use now (1 inside another parallel region)."""
    return 1 if omp_in_parallel() else omp_get_max_threads()
