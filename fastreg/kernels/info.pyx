"""What this build of fastreg can do."""
from fastreg.kernels.leaf cimport fr_simd_level

from fastreg.kernels.threads import BACKEND

cdef extern from *:
    """
    #if defined(__clang__)
    #define FR_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FR_COMPILER "gcc " __VERSION__
    #else
    #define FR_COMPILER "unknown"
    #endif
    """
    const char *FR_COMPILER


def build_info():
    """Compiler, SIMD level in use and threads of this build, as a dict."""
    return {"compiler": FR_COMPILER.decode(), "simd": fr_simd_level().decode(), "threads": BACKEND}
