"""Write a network as a readable PyTorch source file, with its weights in a safetensors file."""

from __future__ import annotations

from dataclasses import replace
import os

import numpy as np

from ..graph import Graph
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
from .codegen.text import (
    INDENT,
    Argument,
    Call,
    Code,
    Expression,
    Literal,
    compressed,
    made_list,
    make_call,
    scalar,
    size,
)

MODULES = ("torch", "safetensors")  # that a generated file needs

_BASES = ("Conv", "Conv1d", "Conv3d", "Linear", "Dense")
_ACTIVATIONS = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh"}

# classes that a generated file defines if it uses them
_LAYER = '''\
class {name}(nn.{base}):
    """{summary}"""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.act = nn.{activation}()

    def forward(self, x):
        return self.act(super().forward({x}))
'''
_DENSE = '''\
class Dense(nn.Linear):
    """A dense layer that flattens its input first, in C, H, W order."""

    def forward(self, x):
        return super().forward(torch.flatten(x, 1))
'''
_HELPERS = {
    "BatchNorm": '''\
class BatchNorm(nn.BatchNorm2d):
    """Batch normalization of (N, C) or (N, C, H, W), with the running variance of MXNet."""

    def forward(self, x):
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        # PyTorch would multiply the variance of the batch by n / (n - 1) before it enters the running variance
        axes = [0, *range(2, x.dim())]
        variance, mean = torch.var_mean(x.detach(), dim=axes, correction=0)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
''',
    "FixedGammaBatchNorm": '''\
class FixedGammaBatchNorm(BatchNorm):
    """Batch normalization whose weight is 1 and not trained."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.weight.requires_grad_(False)
''',
    "DropPath": '''\
class DropPath(nn.Module):
    """Stochastic depth: in training, drop all values of random examples, and scale the others up.

    Args:
        rate: Probability that an example is dropped.
    """

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        keep = x.new_ones(len(x), *[1] * (x.dim() - 1))
        return x * F.dropout(keep, self.rate, self.training)
''',
    "DropBlock": '''\
class DropBlock(nn.Module):
    """In training, drop squares at random places, the same ones in all examples, and scale the others up.

    Args:
        rate: Share of the values that are dropped.
        side: Side of a square, odd.
    """

    def __init__(self, rate, side):
        super().__init__()
        self.rate, self.side = rate, side

    def keep(self, x):
        """Return a new mask of 0 and 1, (1, C, H, W)."""
        height, width = x.shape[2:]
        centers = (height - self.side + 1) * (width - self.side + 1)
        places = torch.rand_like(x[:1]) < self.rate * height * width / self.side**2 / centers
        return 1 - F.max_pool2d(places.to(x.dtype), self.side, 1, self.side // 2)

    def forward(self, x):
        if not self.training:
            return x
        mask = self.keep(x)
        return x * (mask / mask.mean())
''',
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
    write_files(graph, parameters, source_code(graph), "pytorch", path)


def predict(path: str | os.PathLike, graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return the first output for float32 images, (N, C, H, W), computed by PyTorch with the files of `write`.

    Raises:
        ClassicsError: PyTorch is not installed; see `codegen.file.run_file`.
    """
    return run_file(path, MODULES, {"input": images})["eval"]


def source_code(graph: Graph) -> str:
    """Return the source of NAME.py for a network in training mode.

    Raises:
        ExportError: The network cannot be written.
    """
    dialect = _PyTorch()
    classes = Plan(graph, dialect).classes
    parts = [*dialect.helpers.values(), *map(_class, classes), _LOAD.format(network=classes[-1].name)]
    text = "\n\n".join(parts)
    return _head(graph, text) + text


_LOAD = '''\
def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = {network}()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def _head(graph, text):
    standard = ["from collections import OrderedDict"] if "OrderedDict(" in text else []
    standard += ["from pathlib import Path"]
    other = ["from safetensors.torch import load_file"]
    other += ["import torch"] if "torch." in text.replace("torch.nn", "") else []
    other += ["from torch import nn"]
    other += ["import torch.nn.functional as F"] if "F." in text else []
    weights = f'WEIGHTS = Path(__file__).with_suffix("{WEIGHTS}")'
    (shape,) = graph.inputs.values()
    docstring = module_docstring(graph, "PyTorch", shape_text(shape))
    return "\n".join([*docstring, "", *standard, "", *other, "", weights, "", "", ""])


def _class(row: BlockClass) -> str:
    chained = row.forward is None
    base = "nn.Sequential" if chained or row.keeps_list else "nn.Module"
    if row.numbered:
        opening = ["super().__init__(", *(line[2 * len(INDENT) :] for line in numbered_layers(row)), ")"]
    else:
        opening = [] if row.keeps_list else ["super().__init__()"]
    if chained and not row.numbered:
        row = replace(row, summary=f"{row.summary} The layers run in this order.")
    return class_source(row, base, opening, "", "forward", list(row.forward or ()))


# --- layers


def _padding(settings):
    padding, count = settings["padding"], len(settings["kernel"])
    if padding[:count] != padding[count:]:
        raise ExportError("a layer is padded differently at both ends, which PyTorch's layers cannot: port it by hand")
    return size(padding[:count])


def _dimensions(settings):
    return f"{len(settings['kernel'])}d"


class _PyTorch(Dialect):
    """PyTorch's layers and functions. `helpers` has the source of the classes that the file must define."""

    in_prediction = "not self.training"
    reserved = frozenset(
        ("Dense", *_HELPERS, *(f"{layer}{name}" for layer in _BASES for name in _ACTIVATIONS.values()))
    )

    def __init__(self):
        self.helpers: dict[str, str] = {}

    def _helper(self, name, source=None):
        if name == "FixedGammaBatchNorm":
            self._helper("BatchNorm")
        self.helpers.setdefault(name, source or _HELPERS[name])
        return name

    def layer(self, operation, input_shape, activation):
        make = getattr(self, f"_{operation.kind}", None)
        if make is None:
            plain = _PLAIN_LAYERS.get(operation.kind)
            return plain(operation.settings) if plain else None
        return make(operation, input_shape, activation)

    def _base(self, base, activation, short, flattens=False):
        if activation:
            name = f"{short}{_ACTIVATIONS[activation]}"
            kinds = {"Linear": "A dense layer", "Dense": "A dense layer that flattens its input first"}
            summary = f"{kinds.get(short, 'A convolution')}, then its activation."
            x = "torch.flatten(x, 1)" if flattens else "x"
            fields = {"name": name, "base": base, "activation": _ACTIVATIONS[activation], "summary": summary, "x": x}
            return self._helper(name, _LAYER.format(**fields))
        return self._helper("Dense", _DENSE) if flattens else f"nn.{base}"

    def _convolution(self, operation, input_shape, activation):
        row = operation.settings
        base = f"Conv{_dimensions(row)}"
        return make_call(
            self._base(base, activation, "Conv" if base == "Conv2d" else base),
            Literal(input_shape[1], "in_channels"),
            Literal(row["channels"], "channels"),
            Literal(size(row["kernel"]), "kernel_size"),
            stride=(size(row["stride"]), 1),
            padding=(_padding(row), 0),
            dilation=(size(row["dilation"]), 1),
            groups=(row["groups"], 1),
            bias=("bias" in operation.parameters, True),
        )

    def _transposed_convolution(self, operation, input_shape, activation):
        row = operation.settings
        if activation:
            return None
        return make_call(
            f"nn.ConvTranspose{_dimensions(row)}",
            Literal(input_shape[1], "in_channels"),
            Literal(row["channels"], "channels"),
            Literal(size(row["kernel"]), "kernel_size"),
            stride=(size(row["stride"]), 1),
            padding=(_padding(row), 0),
            output_padding=(size(row["output_padding"]), 0),
            dilation=(size(row["dilation"]), 1),
            groups=(row["groups"], 1),
            bias=("bias" in operation.parameters, True),
        )

    def _dense(self, operation, input_shape, activation):
        row = operation.settings
        flattens = "flattened" in row
        inputs = int(np.prod(input_shape[1:])) if flattens else input_shape[-1]
        return make_call(
            self._base("Linear", activation, "Dense" if flattens else "Linear", flattens),
            Literal(inputs, "in_channels"),
            Literal(row["units"], "channels"),
            bias=("bias" in operation.parameters, True),
        )

    def _batch_norm(self, operation, input_shape, activation):
        row = operation.settings
        if activation or row["axis"] != 1 or row["use_running"]:
            return None
        return make_call(
            self._helper("FixedGammaBatchNorm" if row["fixed_gamma"] else "BatchNorm"),
            Literal(input_shape[1], "channels"),
            eps=(row["eps"], 1e-5),
            momentum=(round(1 - row["momentum_keep"], 12), 0.1),
        )

    def _layer_norm(self, operation, input_shape, activation):
        row = operation.settings
        if activation or row["axis"] != len(input_shape) - 1:
            return None
        return make_call("nn.LayerNorm", Literal(input_shape[-1], "channels"), eps=(row["eps"], 1e-5))

    def _instance_norm(self, operation, input_shape, activation):
        if activation or len(input_shape) != 4:
            return None
        settings = {"eps": (operation.settings["eps"], 1e-5), "affine": (True, False)}
        return make_call("nn.InstanceNorm2d", Literal(input_shape[1], "channels"), **settings)

    def _group_norm(self, operation, input_shape, activation):
        row = operation.settings
        if activation:
            return None
        channels = Literal(input_shape[1], "channels")
        return make_call("nn.GroupNorm", Literal(row["groups"]), channels, eps=(row["eps"], 1e-5))

    def _prelu(self, _operation, input_shape, _activation):
        return make_call("nn.PReLU", Literal(input_shape[1], "channels"))

    def _max_pool(self, operation, input_shape, _activation):
        return self._pool("MaxPool", operation, input_shape)

    def _average_pool(self, operation, input_shape, _activation):
        include = operation.settings["include_pad"]
        return self._pool("AvgPool", operation, input_shape, count_include_pad=(include, True))

    def _pool(self, name, operation, input_shape, **more):
        row = operation.settings
        stride = Literal(size(row["stride"]), "stride")
        check_last_window(operation, input_shape)
        return make_call(
            f"nn.{name}{_dimensions(row)}",
            Literal(size(row["kernel"]), "kernel_size"),
            stride,
            padding=(_padding(row), 0),
            ceil_mode=(row["rounding"] == "ceil", False),
            **more,
        )

    def _dropout(self, operation, input_shape, _activation):
        drop, shared = round(operation.settings["drop"], 12), operation.settings["shared_axes"]
        if not shared:
            return make_call("nn.Dropout", Literal(drop, "rate"))
        if sorted(shared) != list(range(1, len(input_shape))):
            return None
        return make_call(self._helper("DropPath"), Literal(drop, "rate"))

    def _drop_block(self, operation, _input_shape, _activation):
        row = operation.settings
        return make_call(self._helper("DropBlock"), Literal(row["drop"], "rate"), Literal(row["block_size"], "side"))

    def identity(self):
        return Call("nn.Identity")

    def chain(self, children):
        if all(name.isdigit() for name, _ in children):
            return Call("nn.Sequential", tuple(Argument(node) for node in compressed([node for _, node in children])))
        named = Call("OrderedDict", tuple(Argument(node, name) for name, node in children))
        return Call("nn.Sequential", (Argument(named),))

    def numbered(self, children):
        return Entry("", Call("super().__init__", tuple(Argument(node) for node in children)))

    def parameter(self, name, parameter):
        shape = [Argument(Literal(size, "channels")) for size in parameter.shape]
        zeros = Call("torch.zeros", tuple(shape))
        if parameter.trainable:
            return Entry(name, Call("nn.Parameter", (Argument(zeros),)))
        return Entry("", Call("self.register_buffer", (Argument(Literal(name)), Argument(zeros))))

    def table(self, operation):
        rows = Argument(made_list(map(Literal, table_of(operation))))
        table = Call("torch.tensor", (rows, Argument(Literal(Code("torch.bool")), "dtype")))
        name, persistent = Argument(Literal(TABLE)), Argument(Literal(False), "persistent")
        return Entry("", Call("self.register_buffer", (name, Argument(table), persistent)))

    def expression(self, operation, inputs, shapes):
        try:
            make = _EXPRESSIONS[operation.kind]
        except KeyError:
            raise ExportError(
                f"{operation.name} ({operation.kind}) has no PyTorch function here: port it by hand"
            ) from None
        depth = 1 + max((row.depth for row in inputs), default=0)
        return make(operation, inputs, shapes, depth)


# --- functions


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


def _concat(operation, inputs, _shapes, depth):
    axis = operation.settings["axis"]
    return Expression(f"torch.cat([{', '.join(row.text for row in inputs)}], dim={axis})", depth)


def _reshape(operation, inputs, _shapes, depth):
    shape = list(operation.settings["shape"])
    unknown = [number for number, size in enumerate(shape) if size is None]
    free = unknown[0] if unknown else shape.index(max(shape))
    shape[free] = -1
    return Expression(f"{inputs[0].within(2)}.reshape({', '.join(map(str, shape))})", depth)


def _slice(operation, inputs, _shapes, depth):
    row = operation.settings
    before = ":, " * row["axis"]
    begin = row["begin"] or ""
    return Expression(f"{inputs[0].within(2)}[{before}{begin}:{row['end']}]", depth)


def _crop(operation, inputs, _shapes, depth):
    row = operation.settings
    parts = [":"] * (max(row["axes"]) + 1)
    for axis, begin, end in zip(row["axes"], row["begins"], row["ends"]):
        parts[axis] = f"{begin or ''}:{end}"
    return Expression(f"{inputs[0].within(2)}[{', '.join(parts)}]", depth)


def _resize_bilinear(operation, inputs, _shapes, depth):
    row = operation.settings
    if 1 in row["size"] and not row["align_corners"]:
        raise ExportError(f"{operation.name} takes the first value, and PyTorch the middle: choose another input size")
    more = f'size={tuple(row["size"])}, mode="bilinear", align_corners={row["align_corners"]}'
    return Expression(f"F.interpolate({inputs[0].text}, {more})", depth)


def _matrix_product(operation, inputs, _shapes, depth):
    matrices = [
        f"{row.within(2)}.transpose(1, 2)" if turn else row.text
        for row, turn in zip(inputs, operation.settings["transposed"])
    ]
    return Expression(f"torch.matmul({', '.join(matrices)})", depth)


def _method(pattern):
    def make(operation, inputs, _shapes, depth):
        fields = {name: _size_text(value) for name, value in operation.settings.items()}
        return Expression(inputs[0].within(2) + pattern.format(**fields), depth - 1)

    return make


def _size_text(value):
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _reduction(name):
    def make(operation, inputs, _shapes, depth):
        axes = operation.settings["axes"]
        dim = axes[0] if len(axes) == 1 else tuple(axes)
        keep = ", keepdim=True" if operation.settings["keepdims"] else ""
        return Expression(f"torch.{name}({inputs[0].text}, dim={dim}{keep})", depth)

    return make


def _scatter(operation, inputs, _shapes, depth):
    shape = ", ".join(map(str, operation.settings["shape"]))
    weight = inputs[0].text
    return Expression(f"{weight}.new_zeros({shape}).index_put((self.{TABLE},), {weight})", depth)


def _convolve(operation, inputs, _shapes, depth):
    row = operation.settings
    settings = {"stride": (size(row["stride"]), 1), "padding": (_padding(row), 0)}
    settings.update({"dilation": (size(row["dilation"]), 1), "groups": (row["groups"], 1)})
    more = "".join(f", {name}={value}" for name, (value, default) in settings.items() if value != default)
    return Expression(f"F.conv{_dimensions(row)}({', '.join(i.text for i in inputs)}{more})", depth)


def _pool(name):
    def make(operation, inputs, shapes, depth):
        row = operation.settings
        check_last_window(operation, shapes[0])
        settings = {"padding": (_padding(row), 0), "ceil_mode": (row["rounding"] == "ceil", False)}
        settings["count_include_pad"] = (row.get("include_pad", True), True)
        more = "".join(f", {key}={value}" for key, (value, default) in settings.items() if value != default)
        text = f"F.{name}{_dimensions(row)}({inputs[0].text}, {size(row['kernel'])}, {size(row['stride'])}{more})"
        return Expression(text, depth)

    return make


def _pad(operation, inputs, _shapes, depth):
    row = operation.settings
    widths = [width for pair in reversed(row["widths"]) for width in pair]
    mode = {"constant": f"value={row.get('value', 0)}", "edge": 'mode="replicate"', "reflect": 'mode="reflect"'}
    if row["mode"] != "constant":
        widths = widths[:-4]
    return Expression(f"F.pad({inputs[0].text}, {tuple(widths)}, {mode[row['mode']]})", depth)


def _settings(pattern):
    def make(operation, inputs, _shapes, depth):
        return Expression(pattern.format(x=inputs[0].text, **operation.settings), depth)

    return make


_EXPRESSIONS = {
    "add": _operator("+", 0),
    "subtract": _operator("-", 0),
    "multiply": _operator("*", 1),
    "divide": _operator("/", 1),
    "maximum": _function("torch.maximum({}, {})"),
    "matrix_product": _matrix_product,
    "sum_of_inputs": _joined,
    "concat": _concat,
    "relu": _function("F.relu({})"),
    "sigmoid": _function("torch.sigmoid({})"),
    "tanh": _function("torch.tanh({})"),
    "softplus": _function("F.softplus({})"),
    "softsign": _function("F.softsign({})"),
    "selu": _function("F.selu({})"),
    "gelu": _function("F.gelu({})"),
    "leaky_relu": _settings("F.leaky_relu({x}, {slope})"),
    "elu": _settings("F.elu({x}, {slope})"),
    "hard_sigmoid": _settings("torch.clamp({alpha} * {x} + {beta}, 0, 1)"),
    "softmax": _settings("F.softmax({x}, dim={axis})"),
    "clip": _settings("torch.clamp({x}, {low}, {high})"),
    "pad": _pad,
    "upsample_nearest": _settings('F.interpolate({x}, scale_factor={scale}, mode="nearest")'),
    "resize_bilinear": _resize_bilinear,
    "dropout": _settings("F.dropout({x}, {drop}, self.training)"),
    "local_response_norm": _settings("F.local_response_norm({x}, {size}, {alpha}, {beta}, {k})"),
    "flatten": _function("torch.flatten({}, 1)"),
    "reshape": _reshape,
    "slice": _slice,
    "crop": _crop,
    "expand_dims": _method(".unsqueeze({axis})"),
    "transpose": _method(".permute({order})"),
    "stop_gradient": _method(".detach()"),
    "square": _function("torch.square({})"),
    "sqrt": _function("torch.sqrt({})"),
    "exp": _function("torch.exp({})"),
    "abs": _function("torch.abs({})"),
    "zeros_like": _function("torch.zeros_like({})"),
    "ones_like": _function("torch.ones_like({})"),
    "mean": _reduction("mean"),
    "sum": _reduction("sum"),
    "max": _reduction("amax"),
    "add_scalar": _with_scalar("{0} + {1}", 0),
    "subtract_scalar": _with_scalar("{0} - {1}", 0),
    "subtract_from_scalar": _with_scalar("{1} - {0}", 1),
    "multiply_scalar": _with_scalar("{1} * {0}", 1),
    "divide_scalar": _with_scalar("{0} / {1}", 1),
    "divide_scalar_by": _with_scalar("{1} / {0}", 2),
    "power_scalar": _with_scalar("{0} ** {1}", 2),
    "maximum_scalar": _with_scalar("torch.clamp({0}, min={1})", 0),
    "minimum_scalar": _with_scalar("torch.clamp({0}, max={1})", 0),
    "scatter": _scatter,
    "convolution": _convolve,
    "dense": _function("F.linear({0}, {1}, {2})"),
    "max_pool": _pool("max_pool"),
    "average_pool": _pool("avg_pool"),
    "global_average_pool": _function("F.adaptive_avg_pool2d({}, 1)"),
    "global_max_pool": _function("F.adaptive_max_pool2d({}, 1)"),
}

_PLAIN_LAYERS = {
    "relu": lambda row: Call("nn.ReLU"),
    "sigmoid": lambda row: Call("nn.Sigmoid"),
    "tanh": lambda row: Call("nn.Tanh"),
    "softplus": lambda row: Call("nn.Softplus"),
    "softsign": lambda row: Call("nn.Softsign"),
    "selu": lambda row: Call("nn.SELU"),
    "gelu": lambda row: Call("nn.GELU"),
    "leaky_relu": lambda row: make_call("nn.LeakyReLU", row["slope"]),
    "elu": lambda row: make_call("nn.ELU", row["slope"]),
    "softmax": lambda row: make_call("nn.Softmax", dim=(row["axis"], None)),
    "flatten": lambda row: Call("nn.Flatten"),
    "global_average_pool": lambda row: make_call("nn.AdaptiveAvgPool2d", 1),
    "global_max_pool": lambda row: make_call("nn.AdaptiveMaxPool2d", 1),
    "adaptive_average_pool": lambda row: make_call("nn.AdaptiveAvgPool2d", tuple(row["size"])),
    "upsample_nearest": lambda row: make_call("nn.Upsample", scale_factor=(row["scale"], None)),
    "local_response_norm": lambda row: make_call(
        "nn.LocalResponseNorm", row["size"], alpha=(row["alpha"], 1e-4), beta=(row["beta"], 0.75), k=(row["k"], 1.0)
    ),
}
