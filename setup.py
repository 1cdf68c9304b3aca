"""Build the Cython extensions: every fastreg/**/*.pyx becomes the extension of the same dotted name.

Switches, read from the environment: FASTREG_DEBUG (bounds checks, -O0 -g), FASTREG_SANITIZE (address and
undefined-behaviour sanitizers, -O1, a report ends the process; or, if it is `thread`, that of data races),
FASTREG_NO_THREADS (every call works alone).  After changing one, build with `--force`.
"""
import os
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

DEBUG, SANITIZE, NO_THREADS = (
    os.environ.get(f"FASTREG_{name}", "0") not in ("", "0") for name in ("DEBUG", "SANITIZE", "NO_THREADS")
)
RACES = os.environ.get("FASTREG_SANITIZE") == "thread"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
}
# The first heeds `#pragma omp simd`, and no other pragma: no OpenMP runtime is linked. The second lets comparisons of
# numbers become SIMD; no result depends on it, only which flags of the processor are raised on the way.
SIMD_FLAGS = "-fopenmp-simd", "-fno-trapping-math"
SOURCES = {".pyx", ".pxd", ".pxi", ".h"}


def understands(compiler, flag):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "flag.c")
        source.write_text("int main(void) { return 0; }\n")
        try:
            compiler.compile([str(source)], output_dir=folder, extra_postargs=["-Werror", flag])
        except CompileError:
            return False
    return True


class BuildExt(build_ext):
    """Choose the flags once the compiler is known, and compile the extensions side by side."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self):
        # Here and no earlier: pip runs this file three times, and builds once.
        sources = {module.name: module.sources for module in translated(self.extensions)}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
        super().run()

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        compile_args = ["/O2", "/std:c11"] if msvc else ["-O0", "-g"] if DEBUG else ["-O1"] if SANITIZE else ["-O3"]
        sanitizers = ["-fsanitize=thread"] if RACES else ["-fsanitize=address,undefined",
                                                          "-fno-sanitize-recover=undefined"]
        both = ["-g", "-fno-omit-frame-pointer", *sanitizers] if SANITIZE else []
        if not msvc:
            both.append("-pthread")
            compile_args += [flag for flag in SIMD_FLAGS if understands(self.compiler, flag)]
        if NO_THREADS:
            compile_args.append("/DFASTREG_NO_THREADS" if msvc else "-DFASTREG_NO_THREADS")
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


def translated(modules):
    """Extensions in C. Files whose text stays what it was keep their times, and are not compiled again.

    Cython writes anew what is older than its own files, and pip installs those for every build.
    """
    generated = Path("build", "cython-debug" if DEBUG else "cython")
    newest = max(path.stat().st_mtime_ns for path in Path("fastreg").rglob("*") if path.suffix in SOURCES)
    before = {path: (path.read_bytes(), path.stat()) for path in generated.rglob("*.c")}
    modules = cythonize(modules, build_dir=str(generated), nthreads=os.cpu_count(), compiler_directives=DIRECTIVES)
    for path, (text, stat) in before.items():
        if stat.st_mtime_ns > newest and path.read_bytes() == text:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return modules


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExt})
