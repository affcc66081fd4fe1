"""Write and read parameter files, in Gluon's format."""

from __future__ import annotations

from typing import Callable, Sequence

from gluon_classics import _console
from gluon_classics._files import atomic_path, sha256_of, write_errors
from gluon_classics.errors import RunError
import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon.parameter import DeferredInitializationError
import numpy as np

from .parameter_format import read_arrays
from .parameter_matching import first_difference, last_layers, match, without_kind


def save_parameters(net: gluon.nn.Block, path, announce: Callable[[str | None], None] | None = None) -> None:
    """Write the parameters of a network atomically, in Gluon's format.

    Args:
        net: The network.
        path: File to write.
        announce: Called with the SHA-256 of the new file just before it replaces the old one.

    Raises:
        RunError: The file cannot be written.
        DeferredInitializationError: Some parameters do not have their shapes yet.
    """
    try:
        with write_errors(path, "choose another folder", RunError), atomic_path(path) as temporary:
            net.save_parameters(temporary)
            mx.nd.load(temporary)  # MXNet does not report a disk that fills up while the file is closed
            if announce:
                announce(sha256_of(temporary))
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
    net.initialize(mx.init.Zero(), ctx=contexts, force_reinit=True)
    fix_shapes(net, contexts, input_shape)  # for the comparison with those of the file
    copy_parameters(net, path, input_shape)


def read_parameters(path) -> dict[str, np.ndarray]:
    """Return the parameters of a file by name, without the kind that an exported model puts before it.

    Raises:
        RunError: The file is missing or damaged, or two parameters have the same name.
    """
    named = read_arrays(path)
    arrays = {without_kind(name): array for name, array in named.items()}
    if len(arrays) < len(named):
        raise RunError(f"{path} has two parameters with the same name, one of them behind arg: or aux:")
    return arrays


def copy_parameters(net: gluon.nn.Block, path, input_shape, new_head: Sequence[str] = ()) -> None:
    """Copy the parameters of a file to an initialized network.

    Args:
        net: The network. Its parameters have their shapes.
        path: Parameter file. If its names are not those of the network, its parameters are matched by order and shape.
        input_shape: (C, H, W) of the network's input.
        new_head: Names of the parameters of the last layers, which keep their values.

    Raises:
        RunError: The file is missing or damaged, or holds the parameters of another network. Then nothing is copied.
    """
    arrays = read_parameters(path)
    parameters = net._collect_params_with_prefix()
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    found = {name: array.shape for name, array in arrays.items()}
    names = _names(net, shapes, found, new_head)
    if names is None:
        raise RunError(f"{path} does not hold the parameters of {_described(net, input_shape)}{_why(shapes, found)}")
    wrong = {name: other for name, other in names.items() if shapes[name] != found[other]}
    if wrong:
        raise RunError(f"{path} {_wrong_shapes(net, input_shape, wrong, shapes, found)}")
    values = {}
    for name, other in names.items():
        with np.errstate(over="ignore"):
            values[name] = arrays[other].astype(parameters[name].dtype)
        if not np.isfinite(values[name]).all():
            raise RunError(f"{other} in {path} is too large for {np.dtype(parameters[name].dtype)}: scale it")
    for name, value in values.items():
        parameters[name].set_data(mx.nd.array(value, dtype=value.dtype))
    name, other = next(((name, other) for name, other in names.items() if name != other), (None, None))
    if name:
        _console.say(f"{path}: parameters are named differently ({other} is {name} here): matched by order and shape")


def _names(net, shapes, found, new_head):
    """Return the name in the file for each parameter that is copied; None if the file does not fit."""
    wanted = {name: shape for name, shape in shapes.items() if name not in new_head}
    extra = [name for name in found if name not in shapes]
    only_in_training = getattr(net, "only_in_training", ())
    if all(name in found for name in wanted) and all(name.startswith(only_in_training) for name in extra):
        return {name: name for name in wanted}
    if new_head:
        last = last_layers(list(found), new_head)
        if last is None:
            return None
        found = {name: shape for name, shape in found.items() if name not in last}
    names = match(wanted, found)
    if names is None and len(wanted) == len(found):  # perhaps only the number of classes differs
        names = match({name: shape[1:] for name, shape in wanted.items()}, {n: shape[1:] for n, shape in found.items()})
        names = names if names and classes_of(names, wanted, found) else None
    return names


def classes_of(names, shapes, found) -> tuple[int, int] | None:
    """Return the numbers of classes of the file and of the network if nothing else differs, else None."""
    wrong = [(found[other], shapes[name]) for name, other in names.items() if found[other] != shapes[name]]
    sizes = {(theirs[0], own[0]) for theirs, own in wrong if theirs and own and theirs[1:] == own[1:]}
    is_all = all(theirs and own and theirs[1:] == own[1:] for theirs, own in wrong)
    return next(iter(sizes)) if is_all and len(sizes) == 1 else None


def _wrong_shapes(net, input_shape, wrong, shapes, found):
    name, other = next(iter(wrong.items()))
    classes = classes_of(wrong, shapes, found)
    sizes = f"{other:.60} is {found[other]}, not {shapes[name]}"
    if classes:
        return (
            f"was made for {classes[0]} classes, {classes[1]} are wanted ({sizes}): "
            "use data with its classes, or train a new last layer with --new-head"
        )
    return f"does not hold the parameters of {_described(net, input_shape)}: {sizes}"


def _described(net, input_shape):
    return f"{type(net).__name__} for {input_shape} images"


def _why(shapes, found):
    """Return how the parameters of a file differ from those of the network, as the rest of a sentence."""
    lacking, extra = (sorted(set(one) - set(other)) for one, other in ((shapes, found), (found, shapes)))
    name, other = first_difference(shapes, found)
    place = f"; its {other:.60} is {found[other]}, the network's {name} {shapes[name]}" if name and other else ""
    return f"{_first_of('it lacks', lacking)}{_first_of('it also has', extra)}{place}"


def _first_of(what, names):
    if not names:
        return ""
    return f"; {what} {names[0]:.60}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
