"""Write a network as a readable Flax source file, with its weights in a safetensors file.

The file uses `flax.nnx`, which Flax's own documentation recommends for new models, and takes images as (N, H, W, C), as
Flax's layers do. Kernels are transposed for it, and those of dense layers behind a feature map are permuted.
"""

from __future__ import annotations

import math
import os

import numpy as np

from ..graph import Graph, Shape
from .codegen.dialect import TABLE, BlockClass, Dialect, Entry, ExportError, check_last_window, shape_text, table_of
from .codegen.file import (
    WEIGHTS,
    class_source,
    module_docstring,
    numbered_layers,
    run_file,
    write_files,
)
from .codegen.plan import Plan
from .codegen.text import Argument, Call, Code, Expression, Literal, compressed, made_list, make_call, scalar, size

MODULES = ("flax", "jax", "safetensors")  # that a generated file needs

_BASES = ("Conv", "Linear", "Dense")
_ACTIVATIONS = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh"}
_AXES = {0: 0, 1: 3, 2: 1, 3: 2}  # where each axis of (N, C, H, W) is in (N, H, W, C)
_MODE = "deterministic"  # the attribute that `train()` and `eval()` of a network set
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
def convolution(x, kernel, bias):
    """Convolve (N, H, W, C) with a kernel (out, in, height, width)."""
    layout = ("NHWC", "OIHW", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout) + bias
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


def write(graph: Graph, parameters: dict[str, np.ndarray], path: str | os.PathLike) -> None:
    """Write NAME.py, and the weights next to it as NAME.safetensors; both files atomically.

    Args:
        graph: The network in training mode.
        parameters: Value of each parameter, by name.
        path: NAME.py.

    Raises:
        ExportError: The network cannot be written.
        OSError: A file cannot be written.
    """
    write_files(graph, parameters, source_code(graph), "flax", path)


def predict(path: str | os.PathLike, graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return the first output for float32 images, (N, C, H, W), computed by Flax with the files of `write`.

    Raises:
        ClassicsError: Flax is not installed; see `codegen.file.run_file`.
    """
    return run_file(path, MODULES, {"input": images})["eval"]


def source_code(graph: Graph) -> str:
    """Return the source of NAME.py for a network in training mode.

    Raises:
        ExportError: The network cannot be written.
    """
    dialect = _Flax()
    classes = Plan(graph, dialect).classes
    parts = [_class(row, dialect) for row in classes]
    seed = _SEED if any("nnx.Dropout(" in part for part in parts) else ""
    load = _LOAD.format(network=classes[-1].name, seed=seed)
    text = "\n\n".join([*dialect.helpers.values(), *parts, load])
    return _head(graph, text) + text


_LOAD = '''\
def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = nnx.eval_shape(lambda: {network}(rngs=nnx.Rngs(0)))  # shapes alone, no weights
    weights = load_file(path)
    state = nnx.state(network, nnx.Not(nnx.RngState))
    variables = {{".".join(map(str, name)): variable for name, variable in nnx.to_flat_state(state)}}
    if {{name: row.shape for name, row in variables.items()}} != {{name: row.shape for name, row in weights.items()}}:
        raise ValueError(f"{{path}} does not have the parameters of this network")
    for name, variable in variables.items():
        variable.set_value(weights[name])
    nnx.update(network, state)
{seed}    network.eval()
    return network
'''
_SEED = "    nnx.reseed(network, default=0)  # of dropout\n"


def _head(graph, text):
    standard = ["from functools import partial"] if "partial(" in text else []
    standard += ["from pathlib import Path"]
    other = ["from flax import nnx"]
    other += ["import jax"] if "jax." in text else []
    other += ["import jax.numpy as jnp"] if "jnp." in text else []
    other += ["import numpy as np"] if "np." in text.replace("jnp.", "") else []
    other += ["from safetensors.flax import load_file"]
    weights = f'WEIGHTS = Path(__file__).with_suffix("{WEIGHTS}")'
    (shape,) = graph.inputs.values()
    docstring = module_docstring(graph, "Flax", shape_text(channels_last(shape)), "Channels are the last axis.")
    return "\n".join([*docstring, "", *standard, "", *other, "", weights, "", "", ""])


def _class(row: BlockClass, dialect) -> str:
    base = dialect.helper("Sequential") if row.numbered else "nnx.List" if row.keeps_list else "nnx.Module"
    opening, forward = [], list(row.forward or ())
    if row.numbered:
        opening = ["layers = [", *(line[8:] for line in numbered_layers(row)), "]", "super().__init__(layers)"]
    elif row.forward is None:
        *names, last = [entry.name for entry in row.entries]
        forward = [*(f"x = self.{name}(x)" for name in names), f"return self.{last}(x)"]
    elif any(dialect.in_prediction in line for line in forward):
        opening = [f"self.{_MODE} = False  # `eval()` and `train()` set it"]
    common = "*, rngs" if dialect.common(row.entries) else ""
    return class_source(row, base, opening, common, "__call__", forward)


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


class _Flax(Dialect):
    """Flax's layers and JAX's functions. `helpers` has the source of what the file must define."""

    in_prediction = f"self.{_MODE}"
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
        if operation.kind in _FUNCTION_LAYERS:
            return _name(_FUNCTION_LAYERS[operation.kind])
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
        shared = tuple(sorted(_AXES[axis] for axis in shared))
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
        make = _EXPRESSIONS.get(operation.kind)
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


# --- functions. Axes of an image are renumbered; None means that there is no simple expression


def _axis(axis, shape):
    return _AXES[axis] if len(shape) == 4 else axis


def _function(text):
    return lambda operation, inputs, shapes, depth: Expression(text.format(*(row.text for row in inputs)), depth)


def _operator(symbol, level):
    def make(_operation, inputs, _shapes, depth):
        first, second = inputs
        return Expression(f"{first.within(level)} {symbol} {second.within(level + (symbol in '-/'))}", depth, level)

    return make


def _with_scalar(pattern, level):
    def make(operation, inputs, _shapes, depth):
        number = scalar(operation.settings["scalar"])
        if " " in number and operation.kind != "multiply_scalar":
            number = f"({number})"
        return Expression(pattern.format(inputs[0].within(level), number), depth, level)

    return make


def _joined(_operation, inputs, _shapes, depth):
    return Expression(" + ".join(row.within(0) for row in inputs), depth, 0)


def _concat(operation, inputs, shapes, depth):
    axis = _axis(operation.settings["axis"], shapes[0])
    axis = -1 if axis == len(shapes[0]) - 1 else axis
    return Expression(f"jnp.concatenate([{', '.join(row.text for row in inputs)}], axis={axis})", depth)


def _reshape(operation, inputs, shapes, depth):
    shape = list(operation.settings["shape"])
    if len(shape) == 4 and len(shapes[0]) == 1:
        shape = [shape[0], *shape[2:], shape[1]]
    elif len(shape) == 4 or len(shapes[0]) == 4:
        return None
    free = shape.index(None) if None in shape else shape.index(max(shape))
    shape[free] = -1
    return Expression(f"{inputs[0].within(2)}.reshape({', '.join(map(str, shape))})", depth)


def _flatten(_operation, inputs, _shapes, depth):
    return Expression(f"{inputs[0].within(2)}.reshape(len({inputs[0].text}), -1)", depth)


def _slice(operation, inputs, shapes, depth):
    row = operation.settings
    before = ":, " * _axis(row["axis"], shapes[0])
    return Expression(f"{inputs[0].within(2)}[{before}{row['begin'] or ''}:{row['end']}]", depth)


def _crop(operation, inputs, shapes, depth):
    row = operation.settings
    parts = [":"] * len(shapes[0])
    for axis, begin, end in zip(row["axes"], row["begins"], row["ends"]):
        parts[_axis(axis, shapes[0])] = f"{begin or ''}:{end}"
    return Expression(f"{inputs[0].within(2)}[{', '.join(parts)}]", depth)


def _expand_dims(operation, inputs, shapes, depth):
    if len(shapes[0]) >= 3:
        return None
    return Expression(f"jnp.expand_dims({inputs[0].text}, {operation.settings['axis']})", depth)


def _reduction(name):
    def make(operation, inputs, shapes, depth):
        axes, keepdims = operation.settings["axes"], operation.settings["keepdims"]
        if len(shapes[0]) == 4 and not keepdims and len({2, 3} & set(axes)) == 1:
            return None
        axes = sorted(_axis(axis, shapes[0]) for axis in axes)
        keep = ", keepdims=True" if keepdims else ""
        return Expression(
            f"jnp.{name}({inputs[0].text}, axis={axes[0] if len(axes) == 1 else tuple(axes)}{keep})", depth
        )

    return make


def _scatter(operation, inputs, _shapes, depth):
    shape = tuple(operation.settings["shape"])
    where = f"np.array(self.{TABLE}, bool)"
    return Expression(f"jnp.zeros({shape}).at[{where}].set({inputs[0].text})", depth)


def _convolve(operation, inputs, _shapes, depth):
    """Return a convolution whose kernel is a value, with the axes of MXNet."""
    row = operation.settings
    plain = row["stride"] == row["dilation"] == [1, 1] and row["groups"] == 1 and not any(row["padding"])
    bias = inputs[2].text if len(inputs) > 2 else 0
    return Expression(f"convolution({inputs[0].text}, {inputs[1].text}, {bias})", depth) if plain else None


def _pool(name):
    def make(operation, inputs, _shapes, depth):
        row = operation.settings
        if any(row["padding"]) or row["rounding"] == "ceil":
            return None
        return Expression(f"nnx.{name}({inputs[0].text}, {tuple(row['kernel'])}, {tuple(row['stride'])})", depth)

    return make


def _settings(pattern):
    def make(operation, inputs, _shapes, depth):
        return Expression(pattern.format(x=inputs[0].text, **operation.settings), depth)

    return make


def _softmax(operation, inputs, shapes, depth):
    return Expression(f"nnx.softmax({inputs[0].text}, axis={_axis(operation.settings['axis'], shapes[0])})", depth)


_FUNCTION_LAYERS = {
    "relu": "nnx.relu",
    "sigmoid": "nnx.sigmoid",
    "tanh": "nnx.tanh",
    "softplus": "nnx.softplus",
    "softsign": "nnx.soft_sign",
    "selu": "nnx.selu",
}

_EXPRESSIONS = {
    **{kind: _function(f"{name}({{}})") for kind, name in _FUNCTION_LAYERS.items()},
    "add": _operator("+", 0),
    "subtract": _operator("-", 0),
    "multiply": _operator("*", 1),
    "divide": _operator("/", 1),
    "maximum": _function("jnp.maximum({}, {})"),
    "sum_of_inputs": _joined,
    "concat": _concat,
    "tanh": _function("jnp.tanh({})"),
    "gelu": _function("nnx.gelu({}, approximate=False)"),
    "leaky_relu": _settings("nnx.leaky_relu({x}, {slope})"),
    "elu": _settings("nnx.elu({x}, {slope})"),
    "hard_sigmoid": _settings("jnp.clip({alpha} * {x} + {beta}, 0, 1)"),
    "softmax": _softmax,
    "clip": _settings("jnp.clip({x}, {low}, {high})"),
    "flatten": _flatten,
    "reshape": _reshape,
    "slice": _slice,
    "crop": _crop,
    "expand_dims": _expand_dims,
    "stop_gradient": _function("jax.lax.stop_gradient({})"),
    "square": _function("jnp.square({})"),
    "sqrt": _function("jnp.sqrt({})"),
    "exp": _function("jnp.exp({})"),
    "abs": _function("jnp.abs({})"),
    "zeros_like": _function("jnp.zeros_like({})"),
    "ones_like": _function("jnp.ones_like({})"),
    "mean": _reduction("mean"),
    "sum": _reduction("sum"),
    "max": _reduction("max"),
    "add_scalar": _with_scalar("{0} + {1}", 0),
    "subtract_scalar": _with_scalar("{0} - {1}", 0),
    "subtract_from_scalar": _with_scalar("{1} - {0}", 1),
    "multiply_scalar": _with_scalar("{1} * {0}", 1),
    "divide_scalar": _with_scalar("{0} / {1}", 1),
    "divide_scalar_by": _with_scalar("{1} / {0}", 2),
    "power_scalar": _with_scalar("{0} ** {1}", 2),
    "maximum_scalar": _with_scalar("jnp.maximum({0}, {1})", 0),
    "minimum_scalar": _with_scalar("jnp.minimum({0}, {1})", 0),
    "scatter": _scatter,
    "convolution": _convolve,
    "max_pool": _pool("max_pool"),
    "average_pool": _pool("avg_pool"),
    "global_average_pool": _function("jnp.mean({}, axis=(1, 2), keepdims=True)"),
    "global_max_pool": _function("jnp.max({}, axis=(1, 2), keepdims=True)"),
}
