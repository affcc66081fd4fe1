"""Write and read parameter files, in Gluon's format."""

from __future__ import annotations

from pathlib import Path

from gluon_classics._files import atomic_path, write_errors
from gluon_classics.errors import RunError
import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon.parameter import DeferredInitializationError


def save_parameters(net: gluon.nn.Block, path) -> None:
    """Write the parameters of a network atomically, in Gluon's format.

    Raises:
        RunError: The file cannot be written.
        DeferredInitializationError: Some parameters do not have their shapes yet.
    """
    try:
        with write_errors(path, "choose another folder", RunError), atomic_path(path) as temporary:
            net.save_parameters(temporary)
            mx.nd.load(temporary)  # MXNet does not report a disk that fills up while the file is closed
    except DeferredInitializationError:
        raise  # also an MXNetError, but unrelated to the disk
    except mx.base.MXNetError as error:
        raise RunError(f"cannot write {path}: is the disk full?") from error


def fix_shapes(net: gluon.nn.Block, contexts, input_shape) -> None:
    """Create the parameters whose shapes depend on the input, (C, H, W), including those that only training uses."""
    with autograd.train_mode():
        for ctx in contexts:
            net(mx.nd.zeros((1, *input_shape), ctx=ctx))


def load_parameters(net: gluon.nn.Block, path, contexts, input_shape) -> None:
    """Initialize a network with a parameter file.

    Parameters that only training uses, such as those of GoogLeNet's auxiliary classifiers, are ignored if the network
    does not have them.

    Args:
        net: The network.
        path: Parameter file.
        contexts: Devices for the network.
        input_shape: (C, H, W) of the network's input.

    Raises:
        RunError: The file is missing or damaged, or holds the parameters of another network.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"there is no parameter file {path}")
    net.initialize(mx.init.Zero(), ctx=contexts, force_reinit=True)
    fix_shapes(net, contexts, input_shape)  # for the comparison with those of the file
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
    """Return the names of the parameters that only the network has, and of those that only the file has, sorted."""
    content = mx.nd.load(str(path))
    names = set(content) if isinstance(content, dict) else set()
    own = set(net._collect_params_with_prefix())
    return sorted(own - names), sorted(names - own)


def _first_of(what, names):
    if not names:
        return ""
    return f"; {what} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
