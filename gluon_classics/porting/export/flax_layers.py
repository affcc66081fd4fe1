"""Flax's layers, and what a generated file defines for what Flax does not have."""

from __future__ import annotations

import math

from ..graph import Shape
from .codegen.dialect import TABLE, Dialect, Entry, ExportError, check_last_window, table_of
from .codegen.text import Argument, Call, Code, Literal, compressed, made_list, make_call, size
from .flax_functions import AXES, EXPRESSIONS, FUNCTION_LAYERS

_BASES = ("Conv", "Linear", "Dense")
_ACTIVATIONS = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh"}
MODE = "deterministic"  # the attribute that `train()` and `eval()` of a network set
_RNGS = (Argument(Literal(Code("rngs")), "rngs"),)

# functions and classes that a generated file defines if it uses them
_LAYER = '''\
class {name}(nnx.{base}):
    """{summary}"""

    def __call__(self, x):
        return nnx.{activation}(super().__call__({x}))
'''
_HELPERS = {
    "Dense": '''\
class Dense(nnx.Linear):
    """A dense layer that flattens its input first, in H, W, C order."""

    def __call__(self, x):
        return super().__call__(flatten(x))
''',
    "flatten": '''\
def flatten(x):
    """Return (N, H, W, C) as (N, H W C)."""
    return x.reshape(len(x), -1)
''',
    "global_average_pool": '''\
def global_average_pool(x):
    """Return the means of the channels: (N, H, W, C) to (N, 1, 1, C)."""
    return jnp.mean(x, axis=(1, 2), keepdims=True)
''',
    "global_max_pool": '''\
def global_max_pool(x):
    """Return the largest value of each channel: (N, H, W, C) to (N, 1, 1, C)."""
    return jnp.max(x, axis=(1, 2), keepdims=True)
''',
    "identity": '''\
def identity(x):
    """Return x."""
    return x
''',
    "BatchNorm": """\
# `momentum` is the share that a step keeps. The fast formula of the variance would lose digits
BatchNorm = partial(nnx.BatchNorm, momentum=0.9, use_fast_variance=False)
""",
    "Sequential": '''\
class Sequential(nnx.List):
    """Layers that run one after another."""

    def __call__(self, x):
        for layer in self:
            x = layer(x)
        return x
''',
    "Chain": '''\
class Chain(nnx.Module):
    """Named layers that run one after another."""

    def __init__(self, **layers):
        self.names = tuple(layers)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def __call__(self, x):
        for name in self.names:
            x = getattr(self, name)(x)
        return x
''',
    "MaxPool": '''\
class MaxPool(nnx.Module):
    """Max pooling, with the arguments of `nnx.max_pool`."""

    def __init__(self, window_shape, strides, padding="VALID"):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding

    def __call__(self, x):
        return nnx.max_pool(x, self.window_shape, self.strides, self.padding)
''',
    "AvgPool": '''\
class AvgPool(nnx.Module):
    """Average pooling, with the arguments of `nnx.avg_pool`."""

    def __init__(self, window_shape, strides, padding="VALID", count_include_pad=True):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding
        self.count_include_pad = count_include_pad

    def __call__(self, x):
        return nnx.avg_pool(x, self.window_shape, self.strides, self.padding, self.count_include_pad)
''',
    "rounded_up": '''\
def rounded_up(x, pool):
    """Return the padding with which the number of windows of a pool is rounded up."""
    rows = zip(x.shape[1:3], pool.window_shape, pool.strides, pool.padding)
    return [(start, end + -(size + start + end - window) % stride) for size, window, stride, (start, end) in rows]
''',
    "CeilMaxPool": '''\
class CeilMaxPool(nnx.Module):
    """Max pooling that rounds the size of its output up."""

    def __init__(self, window_shape, strides, padding=((0, 0), (0, 0))):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding

    def __call__(self, x):
        return nnx.max_pool(x, self.window_shape, self.strides, rounded_up(x, self))
''',
    "CeilAvgPool": '''\
class CeilAvgPool(nnx.Module):
    """Average pooling that rounds the size of its output up. Padding does not count."""

    def __init__(self, window_shape, strides, padding=((0, 0), (0, 0))):
        self.window_shape, self.strides, self.padding = window_shape, strides, padding

    def __call__(self, x):
        return nnx.avg_pool(x, self.window_shape, self.strides, rounded_up(x, self), count_include_pad=False)
''',
    "convolution": '''\
def convolution(x, kernel, bias, strides=(1, 1)):
    """Convolve (N, H, W, C) with a kernel (out, in, height, width)."""
    layout = ("NHWC", "OIHW", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, "VALID", dimension_numbers=layout) + bias
''',
    "LocalResponseNorm": '''\
class LocalResponseNorm(nnx.Module):
    """Divide each value by (k + alpha / size * sum of x^2 over neighboring channels)^beta.

    Args:
        size: Number of neighboring channels.
        alpha: Factor of the sum, which is divided by `size`.
        beta: Exponent.
        k: Constant that is added.
    """

    def __init__(self, size, alpha, beta, k):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def __call__(self, x):
        padding = [(0, 0), (0, 0), (0, 0), (self.size // 2, (self.size - 1) // 2)]
        window, strides = (1, 1, 1, self.size), (1, 1, 1, 1)
        sums = jax.lax.reduce_window(jnp.square(x), 0.0, jax.lax.add, window, strides, padding)
        return x / (self.k + self.alpha / self.size * sums) ** self.beta
''',
}
_NEEDS = {
    "Dense": ("flatten",),
    "CeilMaxPool": ("rounded_up",),
    "CeilAvgPool": ("rounded_up",),
}


def channels_last(shape: Shape) -> Shape:
    """Return (N, C, H, W) as (N, H, W, C), and other shapes as they are."""
    return shape if len(shape) != 4 else (shape[0], *shape[2:], shape[1])


def _pair(values):
    return Call("", tuple(Argument(Literal(value, "kernel_size")) for value in values))


def _padding(settings):
    padding, count = settings["padding"], len(settings["kernel"])
    before, after = padding[:count], padding[count:]
    if before == after:
        return before[0] if len(set(before)) == 1 else tuple(zip(before, after))
    return tuple(zip(before, after))


class Flax(Dialect):
    """Flax's layers and JAX's functions. `helpers` has the source of what the file must define."""

    in_prediction = f"self.{MODE}"
    reserved = frozenset((*_HELPERS, *(base + name for base in _BASES for name in _ACTIVATIONS.values())))

    def __init__(self):
        self.helpers: dict[str, str] = {}

    def helper(self, name, source=None):
        """Return a name that the file must define."""
        for other in _NEEDS.get(name, ()):
            self.helper(other)
        self.helpers.setdefault(name, source or _HELPERS[name])
        return name

    def layer(self, operation, input_shape, activation):
        make = getattr(self, f"_{operation.kind}", None)
        if make is not None:
            return make(operation, input_shape, activation)
        if operation.kind in FUNCTION_LAYERS:
            return _name(FUNCTION_LAYERS[operation.kind])
        return _name(self.helper(operation.kind)) if operation.kind in _HELPERS else None

    def _base(self, base, activation, flattens):
        if not activation:
            return self.helper("Dense") if flattens else f"nnx.{base}"
        short = "Dense" if flattens else base
        name = f"{short}{_ACTIVATIONS[activation]}"
        kinds = {"Linear": "A dense layer", "Dense": "A dense layer that flattens its input first"}
        fields = {
            "summary": f"{kinds.get(short, 'A convolution')}, then its activation.",
            "activation": activation,
            "x": f"{self.helper('flatten')}(x)" if flattens else "x",
        }
        return self.helper(name, _LAYER.format(name=name, base=base, **fields))

    def _convolution(self, operation, input_shape, activation):
        row = operation.settings
        if len(row["kernel"]) != 2:
            return None
        call = make_call(
            self._base("Conv", activation, False),
            Literal(input_shape[1], "in_channels"),
            Literal(row["channels"], "channels"),
            _pair(row["kernel"]),
            strides=(Literal(size(row["stride"]), "stride"), 1),
            padding=(_padding(row), "SAME"),
            kernel_dilation=(Literal(size(row["dilation"]), "dilation"), 1),
            feature_group_count=(Literal(row["groups"], "groups"), 1),
            use_bias=(Literal("bias" in operation.parameters, "bias"), True),
        )
        return _with_rngs(call)

    def _dense(self, operation, input_shape, activation):
        flattens = "flattened" in operation.settings
        inputs = math.prod(input_shape[1:]) if flattens else input_shape[-1]
        call = make_call(
            self._base("Linear", activation, flattens),
            Literal(inputs, "in_channels"),
            Literal(operation.settings["units"], "channels"),
            use_bias=(Literal("bias" in operation.parameters, "bias"), True),
        )
        return _with_rngs(call)

    def _batch_norm(self, operation, input_shape, activation):
        row = operation.settings
        if activation or row["axis"] != 1 or row["use_running"]:
            return None
        call = make_call(
            self.helper("BatchNorm"),
            Literal(input_shape[1], "channels"),
            epsilon=(row["eps"], 1e-5),
            momentum=(row["momentum_keep"], 0.9),
            use_scale=(not row["fixed_gamma"], True),
        )
        return _with_rngs(call)

    def _max_pool(self, operation, input_shape, _activation):
        ceil = operation.settings["rounding"] == "ceil"
        return self._pool("CeilMaxPool" if ceil else "MaxPool", operation, input_shape)

    def _average_pool(self, operation, input_shape, _activation):
        include = operation.settings["include_pad"]
        if operation.settings["rounding"] == "floor":
            return self._pool("AvgPool", operation, input_shape, count_include_pad=(include, True))
        if include and any(operation.settings["padding"]):
            return None
        return self._pool("CeilAvgPool", operation, input_shape)

    def _pool(self, name, operation, input_shape, **more):
        row = operation.settings
        check_last_window(operation, input_shape)
        if len(input_shape) != 4:
            return None
        padding = tuple(zip(row["padding"][:2], row["padding"][2:]))
        default = padding if not any(row["padding"]) else None
        return make_call(
            self.helper(name), _pair(row["kernel"]), _pair(row["stride"]), padding=(padding, default), **more
        )

    def _local_response_norm(self, operation, _input_shape, _activation):
        row = operation.settings
        values = {name: (row[name], None) for name in ("alpha", "beta", "k")}
        return make_call(self.helper("LocalResponseNorm"), row["size"], **values)

    def _dropout(self, operation, _input_shape, _activation):
        drop, shared = round(operation.settings["drop"], 12), operation.settings["shared_axes"]
        shared = tuple(sorted(AXES[axis] for axis in shared))
        return _with_rngs(make_call("nnx.Dropout", Literal(drop, "rate"), broadcast_dims=(shared, ())))

    def identity(self):
        return _name(self.helper("identity"))

    def chain(self, children):
        if all(name.isdigit() for name, _ in children):
            layers = made_list(compressed([node for _, node in children]))
            return Call(self.helper("Sequential"), (Argument(layers),))
        return Call(self.helper("Chain"), tuple(Argument(node, name) for name, node in children))

    def numbered(self, children):
        return Entry("", Call("super().__init__", (Argument(made_list(children)),)))

    def parameter(self, name, parameter):
        sizes = [Argument(Literal(size, "channels")) for size in parameter.shape]
        shape = sizes if len(sizes) == 1 else [Argument(Call("", tuple(sizes)))]
        kind = "nnx.Param" if parameter.trainable else "nnx.Variable"
        return Entry(name, Call(kind, (Argument(Call("jnp.zeros", tuple(shape))),)))

    def table(self, operation):
        rows = tuple(Argument(Literal(tuple(row))) for row in table_of(operation))
        return Entry(TABLE, Call("", rows))

    def shape(self, shape):
        return channels_last(shape)

    def own(self, name):
        return f"self.{name}[...]"

    def common(self, entries):
        return _RNGS if any("rngs" in str(entry.node) for entry in entries) else ()

    def expression(self, operation, inputs, shapes):
        make = EXPRESSIONS.get(operation.kind)
        depth = 1 + max((row.depth for row in inputs), default=0)
        found = make(operation, inputs, shapes, depth) if make else None
        if found is None:
            raise ExportError(f"{operation.name} ({operation.kind}) has no Flax function here: port it by hand")
        if operation.kind == "convolution":
            self.helper("convolution")
        return found


def _name(text):
    return Literal(Code(text), text)


def _with_rngs(call):
    return Call(call.function, (*call.arguments, *_RNGS))
