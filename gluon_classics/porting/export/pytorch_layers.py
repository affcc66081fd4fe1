"""PyTorch's layers, and the classes that a generated file defines for what PyTorch does not have."""

from __future__ import annotations

from typing import Iterable

import numpy as np

from ..graph import Parameter
from .codegen.dialect import TABLE, Dialect, Entry, ExportError, check_last_window, table_of
from .codegen.text import Argument, Call, Code, Literal, compressed, made_list, make_call, size
from .pytorch_functions import EXPRESSIONS, dimensions, padding, spatial_axes

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
    "GroupNorm": '''\
class GroupNorm(nn.GroupNorm):
    """Group normalization with one factor and one offset for each group, as in MXNet."""

    def __init__(self, groups, channels, **settings):
        super().__init__(groups, channels, **settings)
        self.weight, self.bias = nn.Parameter(torch.ones(groups)), nn.Parameter(torch.zeros(groups))

    def forward(self, x):
        count = self.num_channels // self.num_groups
        affine = [values.repeat_interleave(count) for values in (self.weight, self.bias)]
        return F.group_norm(x, self.num_groups, *affine, eps=self.eps)
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


class PyTorch(Dialect):
    """PyTorch's layers and functions. `helpers` has the source of the classes that the file must define."""

    in_prediction = "not self.training"
    reserved = frozenset(
        ("Dense", *_HELPERS, *(f"{layer}{name}" for layer in _BASES for name in _ACTIVATIONS.values()))
    )

    def __init__(self, parameters: Iterable[Parameter] = ()):
        self.helpers: dict[str, str] = {}
        self._shapes = {row.name: row.shape for row in parameters}

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
        base = f"Conv{dimensions(row)}"
        return make_call(
            self._base(base, activation, "Conv" if base == "Conv2d" else base),
            Literal(input_shape[1], "in_channels"),
            Literal(row["channels"], "channels"),
            Literal(size(row["kernel"]), "kernel_size"),
            stride=(size(row["stride"]), 1),
            padding=(padding(row), 0),
            dilation=(size(row["dilation"]), 1),
            groups=(row["groups"], 1),
            bias=("bias" in operation.parameters, True),
        )

    def _transposed_convolution(self, operation, input_shape, activation):
        row = operation.settings
        if activation:
            return None
        return make_call(
            f"nn.ConvTranspose{dimensions(row)}",
            Literal(input_shape[1], "in_channels"),
            Literal(row["channels"], "channels"),
            Literal(size(row["kernel"]), "kernel_size"),
            stride=(size(row["stride"]), 1),
            padding=(padding(row), 0),
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
        layer = "nn.GroupNorm" if row["groups"] == input_shape[1] else self._helper("GroupNorm")
        return make_call(layer, Literal(row["groups"]), channels, eps=(row["eps"], 1e-5))

    def _prelu(self, operation, input_shape, _activation):
        slopes = self._shapes[operation.parameters["slope"]][0]  # one for all channels, or one for each
        return make_call("nn.PReLU", Literal(slopes, "channels" if slopes == input_shape[1] else "slopes"))

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
            f"nn.{name}{dimensions(row)}",
            Literal(size(row["kernel"]), "kernel_size"),
            stride,
            padding=(padding(row), 0),
            ceil_mode=(row["rounding"] == "ceil", False),
            **more,
        )

    def _global_average_pool(self, _operation, input_shape, _activation):
        return make_call(f"nn.AdaptiveAvgPool{len(input_shape) - 2}d", 1)

    def _global_max_pool(self, _operation, input_shape, _activation):
        return make_call(f"nn.AdaptiveMaxPool{len(input_shape) - 2}d", 1)

    def _dropout(self, operation, input_shape, _activation):
        drop, shared = round(operation.settings["drop"], 12), operation.settings["shared_axes"]
        if not shared:
            return make_call("nn.Dropout", Literal(drop, "rate"))
        if sorted(shared) == spatial_axes(input_shape):
            return make_call(f"nn.Dropout{len(shared)}d", Literal(drop, "rate"))
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
            make = EXPRESSIONS[operation.kind]
        except KeyError:
            raise ExportError(
                f"{operation.name} ({operation.kind}) has no PyTorch function here: port it by hand"
            ) from None
        depth = 1 + max((row.depth for row in inputs), default=0)
        return make(operation, inputs, shapes, depth)


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
    "adaptive_average_pool": lambda row: make_call("nn.AdaptiveAvgPool2d", tuple(row["size"])),
    "upsample_nearest": lambda row: make_call("nn.Upsample", scale_factor=(row["scale"], None)),
    "local_response_norm": lambda row: make_call(
        "nn.LocalResponseNorm", row["size"], alpha=(row["alpha"], 1e-4), beta=(row["beta"], 0.75), k=(row["k"], 1.0)
    ),
}
