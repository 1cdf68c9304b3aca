"""Build the Cython extensions: every fastreg/**/*.pyx becomes the extension of the same dotted name.

Switches, read from the environment: FASTREG_DEBUG (bounds checks, -O0 -g), FASTREG_SANITIZE (address and
undefined-behaviour sanitizers, -O1, a report ends the process), FASTREG_NO_OPENMP.  After changing one, build with
`--force`.
"""
import os
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

DEBUG, SANITIZE, NO_OPENMP = (
    os.environ.get(f"FASTREG_{name}", "0") not in ("", "0") for name in ("DEBUG", "SANITIZE", "NO_OPENMP")
)
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
}
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


def has_openmp(compiler, flag):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "openmp.c")
        source.write_text(OPENMP_PROGRAM)
        try:
            objects = compiler.compile([str(source)], output_dir=folder, extra_postargs=[flag])
            compiler.link_executable(objects, str(Path(folder, "openmp")), extra_postargs=[flag])
        except (CompileError, LinkError):
            return False
    return True


class BuildExt(build_ext):
    """Choose the flags once the compiler is known, and compile the extensions side by side."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        compile_args = ["/O2", "/std:c11"] if msvc else ["-O0", "-g"] if DEBUG else ["-O1"] if SANITIZE else ["-O3"]
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        both = ["-g", "-fno-omit-frame-pointer", *sanitizers] if SANITIZE else []
        openmp = "/openmp" if msvc else "-fopenmp"
        if not NO_OPENMP and has_openmp(self.compiler, openmp):
            both.append(openmp)
        for extension in self.extensions:
            extension.extra_compile_args = compile_args + both
            extension.extra_link_args = both
        super().build_extensions()
        # In the checkout `python -m fastreg` finds fastreg/ here before the installed package: both must work.
        self.copy_extensions_to_source()


def extensions():
    headers = [str(path) for pattern in ("*.h", "*.pxd", "*.pxi") for path in Path("fastreg").rglob(pattern)]
    return [
        Extension(".".join(path.with_suffix("").parts), [str(path)], include_dirs=["fastreg/kernels"], depends=headers)
        for path in sorted(Path("fastreg").rglob("*.pyx"))
    ]


if __name__ == "__main__":
    generated = "build/cython-debug" if DEBUG else "build/cython"
    modules = cythonize(extensions(), build_dir=generated, nthreads=os.cpu_count(), compiler_directives=DIRECTIVES)
    setup(ext_modules=modules, cmdclass={"build_ext": BuildExt})
