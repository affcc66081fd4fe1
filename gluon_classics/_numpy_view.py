"""NumPy as MXNet knows it.

MXNet 1.9.1 was written for NumPy 1.16 to 1.23. While it loads and later, it reads names that NumPy 1.24 and 2.0 to 2.4
removed. `load()` runs a module of MXNet with an `__import__` that returns a view of NumPy, which has these names. All
other names come from NumPy itself. NumPy is unchanged, and other modules do not see the view.

MXNet passes shapes and other settings to its library as text. NumPy 2 writes a number in a tuple as `np.int64(3)`, and
NumPy 1 as `3`, which is what the library reads.

The view cannot bring back methods of arrays. NumPy 2.3 removed `ndarray.tostring`, so `mx.recordio.pack_img` fails, and
`mx.recordio.pack` with more than one label.
"""

from __future__ import annotations

import builtins
import functools
import re
import types

_SCALAR = re.compile(r"\bnp\.\w+\(([^()]*)\)")


def load(exec_module, module):
    """Run a module of MXNet or GluonCV.

    Args:
        exec_module: The loader's function that runs it.
        module: The module, which has not run yet.
    """
    # exec() keeps a `__builtins__` that the module already has, and import statements look up `__import__` there
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
    exec_module(module)
    if module.__name__ == "mxnet.base" and repr(_view().int64(3)) != "3":
        c_str, c_str_array = module.c_str, module.c_str_array
        module.c_str = lambda text: c_str(_plain(text))
        module.c_str_array = lambda texts: c_str_array([_plain(text) for text in texts])


def _import(name, *args, **kwargs):
    module = builtins.__import__(name, *args, **kwargs)
    return _view() if module.__name__ == "numpy" else module


@functools.lru_cache(maxsize=None)
def _view():
    import numpy

    view = types.ModuleType("numpy")
    vars(view).update(vars(numpy))
    vars(view)["__getattr__"] = functools.partial(getattr, numpy)  # what NumPy loads or makes when it is read
    # Python's types; NumPy 1.24 removed these aliases, and in NumPy 2 `bool` is NumPy's own type
    vars(view).update(bool=bool, int=int, float=float)
    removed = {
        # constants; NumPy 2.0 kept the spellings inf and nan
        "PZERO": 0.0,
        "NZERO": -0.0,
        "Inf": numpy.inf,
        "PINF": numpy.inf,
        "NINF": -numpy.inf,
        "NAN": numpy.nan,
        "NaN": numpy.nan,
        # functions of mx.np; NumPy 2.0 to 2.4 kept one spelling of each
        "alltrue": numpy.all,
        "in1d": lambda ar1, *args, **kwargs: numpy.isin(numpy.ravel(ar1), *args, **kwargs),
        "msort": functools.partial(numpy.sort, axis=0),
        "trapz": getattr(numpy, "trapezoid", None),
        # mx.np.pad compares a type with it
        "compat": types.SimpleNamespace(basestring=str),
    }
    # MXNet registers its own functions under NumPy's first three. The others do not compute since NumPy 1.20.
    for name in ("product", "round_", "sometrue", "mirr", "npv", "pmt", "ppmt", "pv", "rate"):
        removed[name] = _removed_function
    vars(view).update({name: value for name, value in removed.items() if not hasattr(numpy, name)})
    if hasattr(numpy.lib, "array_utils"):
        # nd.moveaxis reads it; NumPy 2 moved it, and warns when it is read at the old place
        vars(view)["core"] = types.SimpleNamespace(numeric=numpy.lib.array_utils)
    return view


def _removed_function(*args, **kwargs):
    raise NotImplementedError("NumPy no longer has this function")


def _plain(text):
    return _SCALAR.sub(r"\1", text) if "np." in text else text
