"""Machine code of functions of a user's own: compiled by Numba once, kept on disk, run without it from then on.

A function of two floats becomes a loop over rows, whose exponentials and logarithms are those of `vectormath`, so that
the compiler makes vector instructions of it; errors that it raises end the loop with a status. All loops of a loss are
one object file, which LLVM loads: where it refers to nothing but the C library, in any process.
"""
import ctypes
import hashlib
import inspect
import math
import os
import sys
import tempfile
import types
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

FORMAT = "1"                             # of what is kept, `vectormath` in it: a change of either is another one
VECTOR = ("exp", "expm1", "log", "log1p")
LOADED: dict = {}                            # key: (engine, addresses)


class Unkeyed(Exception):
    """A function refers to what no key can stand for."""


def machine_code(functions):
    """Addresses of loops over rows, for functions of two floats.

    Parameters
    ----------
    functions : sequence of callable
        Of (y, x), as Numba compiles them; or with loops over rows of their own (see `adapted.Rows`).

    Returns
    -------
    addresses : tuple of int
        Of C functions ``int f(void *nothing, void **error, ptrdiff_t n, const double *y, const double *x, double
        *out)``, one for each, which return 0 unless the function raises.
    code : object
        What keeps them in memory.

    Raises
    ------
    ImportError
        Where Numba is missing.
    TypeError
        Where Numba cannot compile a function.
    """
    try:
        from llvmlite import binding
    except ImportError as error:
        raise ImportError("losses of your own need Numba: pip install 'fastreg-solver[custom]'.") from error
    try:
        key = _key(functions, binding)
    except Unkeyed:
        key = None
    if key in LOADED:
        return LOADED[key]
    file = _directory() / key if key is not None and all(map(_has_source, functions)) else None
    code = None if file is None else _read(file)
    if code is None:
        code, closed = _compiled(functions, binding)
        if file is not None and closed:
            _write(file, code)
    found = _loaded(code, len(functions), binding)
    if key is not None:
        LOADED[key] = found
    return found


# ---- keys ------------------------------------------------------------------------------------------------------------
def _key(functions, binding):
    """A name for the code of some functions, on this processor, under these versions."""
    said = [FORMAT, version("numba"), version("llvmlite"), sys.version, binding.get_host_cpu_name(),
            binding.get_host_cpu_features().flatten(), *(_told(f) for f in functions)]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _told(value, within=()):
    """All that decides what a function, or a value that it refers to, is; `within`: the functions that refer to it."""
    value = getattr(value, "py_func", value)
    if isinstance(value, types.FunctionType) and value in within:
        return "function", within.index(value)
    if isinstance(value, types.FunctionType):
        within = (*within, value)
        cells = [_told(cell.cell_contents, within) for cell in value.__closure__ or ()]
        names = [(name, _told(value.__globals__[name], within)) for name in sorted(_names(value.__code__))
                 if name in value.__globals__]
        return "function", _code(value.__code__), _told(value.__defaults__, within), cells, names
    if hasattr(value, "told"):
        return type(value).__name__, _told(value.told)
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        return type(value).__name__, repr(value)
    if isinstance(value, tuple):
        return ("tuple", type(value).__qualname__, getattr(value, "_fields", None),
                [_told(item, within) for item in value])
    if isinstance(value, np.ndarray) and value.dtype != object:
        return "array", value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (types.BuiltinFunctionType, np.ufunc, type)):
        return "named", getattr(value, "__module__", None), value.__name__
    raise Unkeyed(value)


def _code(code):
    """A code object, but for where it was written."""
    constants = [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_freevars, code.co_argcount


def _names(code):
    """Names that a code object, and those inside it, may look up."""
    return {*code.co_names, *(name for c in code.co_consts if isinstance(c, types.CodeType) for name in _names(c))}


def _has_source(function):
    """Whether a function was written in a file, and so may be met again."""
    function = function.told[0] if hasattr(function, "told") else getattr(function, "py_func", function)
    try:
        return os.path.exists(inspect.getsourcefile(function) or "")
    except TypeError:
        return False


# ---- on disk ---------------------------------------------------------------------------------------------------------
def _directory():
    """Where machine code is kept: in $FASTREG_CACHE_DIR, or with the user's other caches."""
    given = os.environ.get("FASTREG_CACHE_DIR")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastreg"


def _read(file):
    """Machine code as it was kept, or None."""
    try:
        kept = file.read_bytes()
    except OSError:
        return None
    digest, code = kept[:32], kept[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(file, code):
    """Keep machine code, if there is a place for it."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(hashlib.sha256(code).digest() + code)
        os.replace(part.name, file)
    except OSError:
        pass


# ---- compiling -------------------------------------------------------------------------------------------------------
def _compiled(functions, binding):
    """(Object file of the loops, whether it refers to nothing but the C library.)"""
    try:
        import numba
    except ImportError as error:
        raise ImportError("losses of your own need Numba: pip install 'fastreg-solver[custom]'.") from error
    pointer = numba.types.CPointer(numba.types.float64)
    signature = numba.types.void(numba.types.intp, pointer, pointer, pointer)
    options = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    whole = binding.parse_assembly("")
    for k, function in enumerate(functions):
        try:
            loop = numba.njit(signature, **options)(_loop(function, numba))
        except numba.core.errors.NumbaError as error:
            raise TypeError(f"{_called(function)} cannot be compiled by Numba: {error}") from error
        module = binding.parse_assembly(loop.inspect_llvm(loop.signatures[0]))
        wanted = loop.overloads[loop.signatures[0]].fndesc.llvm_func_name
        for part in module.functions:
            if part.name == wanted:
                part.linkage, part.name = "external", f"fastreg_rows_{k}"
            elif not part.is_declaration:
                part.linkage = "internal"
        whole.link_in(module)
    machine = _machine(binding)
    tuning = binding.create_pipeline_tuning_options(3)
    tuning.loop_vectorization = tuning.slp_vectorization = True
    builder = binding.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(whole, builder)
    library = ctypes.CDLL(None)
    closed = all(hasattr(library, part.name) for part in whole.functions
                 if part.is_declaration and not part.name.startswith("llvm."))
    return machine.emit_object(whole), closed


def _called(function):
    """What a function is called in messages."""
    return getattr(function, "__qualname__", repr(function))


def _loop(function, numba):
    """The loop over rows of a function of two floats, in Python for Numba."""
    function = getattr(function, "py_func", function)
    if hasattr(function, "loop"):
        return function.loop(numba)
    of_row = _vectorised(function, numba)

    def rows(n, y, x, out):
        for i in range(n):
            out[i] = of_row(y[i], x[i])

    return rows


def _vectorised(function, numba, made=None):
    """The function, compiled when it is called, with exponentials and logarithms of which loops become vector
    instructions, and with the functions that it calls made likewise."""
    made = {} if made is None else made
    if function in made:
        return made[function]
    made[function] = function                      # what calls itself is for Numba to refuse

    def instead(value):
        if value is math or value is np:
            return _module_like(value)
        if isinstance(value, types.FunctionType) and not hasattr(value, "__wrapped__"):
            return _vectorised(value, numba, made)
        return _vector_like(value)

    known = function.__globals__
    changed = {name: instead(known[name]) for name in _names(function.__code__) if name in known}
    cells = tuple(types.CellType(instead(cell.cell_contents)) for cell in function.__closure__ or ())
    out = types.FunctionType(function.__code__, {**known, **changed}, function.__name__, function.__defaults__, cells)
    out.__module__, out.__qualname__ = function.__module__, function.__qualname__
    made[function] = numba.njit(out, error_model="numpy")
    return made[function]


def _vector_like(value):
    """A function of `vectormath` in place of that of `math` or NumPy; anything else as it is."""
    from fastreg.datafits import vectormath

    for word in VECTOR:
        if value is getattr(math, word) or value is getattr(np, word):
            return getattr(vectormath, word)
    return value


@cache
def _module_like(module):
    """A module with the same names, but for those of `VECTOR`."""
    from fastreg.datafits import vectormath

    out = types.ModuleType(module.__name__)
    out.__dict__.update({name: known for name, known in vars(module).items() if not name.startswith("__")})
    out.__dict__.update({word: getattr(vectormath, word) for word in VECTOR})
    return out


def _machine(binding):
    """This processor."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3, reloc="pic", jit=True)


def _loaded(code, count, binding):
    """(Addresses of the loops, what keeps them in memory.)"""
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(binding))
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return tuple(engine.get_function_address(f"fastreg_rows_{k}") for k in range(count)), engine
