"""Parameter files, in Gluon's own format."""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
from mxnet import gluon
from mxnet.gluon.parameter import DeferredInitializationError

from .errors import RunError
from .files import atomic_path


def save_parameters(net: gluon.nn.Block, path) -> None:
    """Write the parameters atomically, in Gluon's format.

    Raises RunError if they cannot be written whole, DeferredInitializationError if there are none yet.
    """
    try:
        with atomic_path(path) as temporary:
            net.save_parameters(temporary)
            mx.nd.load(temporary)  # MXNet does not report a disk that fills up while the file is closed
    except DeferredInitializationError:
        raise  # an MXNetError too, and no fault of the disk
    except mx.base.MXNetError as error:
        raise RunError(f"cannot write {path}: is the disk full?") from error
    except OSError as error:
        raise RunError(f"cannot write {path} ({error.strerror})") from error


def load_parameters(net: gluon.nn.Block, path, contexts, input_shape) -> None:
    """Initialise `net` with a parameter file, for images of `input_shape`, (C, H, W).

    Raises RunError if the file is missing, damaged, or holds another network's parameters.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"there is no parameter file {path}")
    net.initialize(mx.init.Zero(), ctx=contexts, force_reinit=True)
    for ctx in contexts:
        net(mx.nd.zeros((1, *input_shape), ctx=ctx))  # fixes all shapes, so that the file's are compared with them
    try:
        net.load_parameters(str(path), ctx=contexts)
    except mx.base.MXNetError as error:
        raise RunError(f"{path} is no parameter file, or a damaged one") from error
    except (AssertionError, AttributeError, ValueError) as error:  # other names, a list without names, other shapes
        kind = type(net).__name__
        raise RunError(f"{path} does not hold the parameters of {kind} for {input_shape} images") from error
