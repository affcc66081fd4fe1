"""Parameter files, in Gluon's own format."""

from __future__ import annotations

from pathlib import Path

from gluon_classics._files import atomic_path, write_errors
from gluon_classics.errors import RunError
import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon.parameter import DeferredInitializationError


def save_parameters(net: gluon.nn.Block, path) -> None:
    """Write the parameters atomically, in Gluon's format.

    Raises RunError if they cannot be written whole, DeferredInitializationError if there are none yet.
    """
    try:
        with write_errors(path, "choose another folder", RunError), atomic_path(path) as temporary:
            net.save_parameters(temporary)
            mx.nd.load(temporary)  # MXNet does not report a disk that fills up while the file is closed
    except DeferredInitializationError:
        raise  # an MXNetError too, and no fault of the disk
    except mx.base.MXNetError as error:
        raise RunError(f"cannot write {path}: is the disk full?") from error


def fix_shapes(net: gluon.nn.Block, contexts, input_shape) -> None:
    """Make the parameters that wait for a first image, of `input_shape`, (C, H, W); also those for training alone."""
    with autograd.train_mode():
        for ctx in contexts:
            net(mx.nd.zeros((1, *input_shape), ctx=ctx))


def load_parameters(net: gluon.nn.Block, path, contexts, input_shape) -> None:
    """Initialize `net` with a parameter file, for images of `input_shape`, (C, H, W).

    What a file holds for training alone, as GoogLeNet's auxiliary classifiers, is left out of a network without them.
    Raises RunError if the file is missing, damaged, or holds another network's parameters.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"there is no parameter file {path}")
    net.initialize(mx.init.Zero(), ctx=contexts, force_reinit=True)
    fix_shapes(net, contexts, input_shape)  # so that the file's are compared with them
    try:
        missing, extra = _differences(net, path)
        ignored = bool(extra) and all(name.startswith(getattr(net, "only_in_training", ())) for name in extra)
        extra = [] if ignored else extra
        net.load_parameters(str(path), ctx=contexts, ignore_extra=ignored)
    except mx.base.MXNetError as error:
        raise RunError(f"{path} is not a parameter file, or it is damaged") from error
    except (AssertionError, AttributeError, ValueError) as error:  # other names, a list without names, other shapes
        kind = type(net).__name__
        what = f"{path} does not hold the parameters of {kind} for {input_shape} images"
        raise RunError(f"{what}{_first_of('it lacks', missing)}{_first_of('it also has', extra)}") from error


def _differences(net, path):
    """Names of the parameters that the file lacks, and of those that it has beyond the network's, sorted."""
    content = mx.nd.load(str(path))
    names = set(content) if isinstance(content, dict) else set()
    own = set(net._collect_params_with_prefix())
    return sorted(own - names), sorted(names - own)


def _first_of(what, names):
    if not names:
        return ""
    return f"; {what} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
