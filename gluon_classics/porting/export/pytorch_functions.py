"""PyTorch's functions: what an operation is in the source of a block's forward pass."""

from __future__ import annotations

from .codegen.dialect import TABLE, ExportError, check_last_window
from .codegen.functions import ARITHMETIC, cropped, function, settings, with_scalar
from .codegen.text import Expression, size


def padding(settings):
    """Return the padding of a layer as PyTorch has it. Raises ExportError."""
    sides, count = settings["padding"], len(settings["kernel"])
    if sides[:count] != sides[count:]:
        raise ExportError("a layer is padded differently at both ends, which PyTorch's layers cannot: port it by hand")
    return size(sides[:count])


def dimensions(settings):
    """Return the number of a layer's spatial axes as in PyTorch's names, such as "2d"."""
    return f"{len(settings['kernel'])}d"


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
    index = cropped(row["axes"], row["begins"], row["ends"], max(row["axes"]) + 1)
    return Expression(f"{inputs[0].within(2)}[{index}]", depth)


def _resize_bilinear(operation, inputs, _shapes, depth):
    row = operation.settings
    if 1 in row["size"] and not row["align_corners"]:
        raise ExportError(f"{operation.name} takes the first value, and PyTorch the middle: choose another input size")
    more = f'size={tuple(row["size"])}, mode="bilinear", align_corners={row["align_corners"]}'
    return Expression(f"F.interpolate({inputs[0].text}, {more})", depth)


def _global_pool(kind):
    def make(_operation, inputs, shapes, depth):
        return Expression(f"F.adaptive_{kind}_pool{len(shapes[0]) - 2}d({inputs[0].text}, 1)", depth)

    return make


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
    given = {"stride": (size(row["stride"]), 1), "padding": (padding(row), 0)}
    given.update({"dilation": (size(row["dilation"]), 1), "groups": (row["groups"], 1)})
    more = "".join(f", {name}={value}" for name, (value, default) in given.items() if value != default)
    return Expression(f"F.conv{dimensions(row)}({', '.join(i.text for i in inputs)}{more})", depth)


def _pool(name):
    def make(operation, inputs, shapes, depth):
        row = operation.settings
        check_last_window(operation, shapes[0])
        given = {"padding": (padding(row), 0), "ceil_mode": (row["rounding"] == "ceil", False)}
        given["count_include_pad"] = (row.get("include_pad", True), True)
        more = "".join(f", {key}={value}" for key, (value, default) in given.items() if value != default)
        text = f"F.{name}{dimensions(row)}({inputs[0].text}, {size(row['kernel'])}, {size(row['stride'])}{more})"
        return Expression(text, depth)

    return make


def spatial_axes(shape):
    """Return the axes behind those of the images and the channels."""
    return list(range(2, len(shape)))


def _dropout(operation, inputs, shapes, depth):
    drop, shared = operation.settings["drop"], operation.settings["shared_axes"]
    if shared and sorted(shared) != spatial_axes(shapes[0]):
        raise ExportError(f"{operation.name} (dropout) shares its mask along the axes {shared}: port it by hand")
    name = f"dropout{len(shared)}d" if shared else "dropout"
    return Expression(f"F.{name}({inputs[0].text}, {drop}, self.training)", depth)


def _pad(operation, inputs, _shapes, depth):
    row = operation.settings
    widths = [width for pair in reversed(row["widths"]) for width in pair]
    mode = {"constant": f"value={row.get('value', 0)}", "edge": 'mode="replicate"', "reflect": 'mode="reflect"'}
    if row["mode"] != "constant":
        widths = widths[:-4]
    return Expression(f"F.pad({inputs[0].text}, {tuple(widths)}, {mode[row['mode']]})", depth)


EXPRESSIONS = {
    **ARITHMETIC,
    "maximum": function("torch.maximum({}, {})"),
    "matrix_product": _matrix_product,
    "concat": _concat,
    "relu": function("F.relu({})"),
    "sigmoid": function("torch.sigmoid({})"),
    "tanh": function("torch.tanh({})"),
    "softplus": function("F.softplus({})"),
    "softsign": function("F.softsign({})"),
    "selu": function("F.selu({})"),
    "gelu": function("F.gelu({})"),
    "leaky_relu": settings("F.leaky_relu({x}, {slope})"),
    "elu": settings("F.elu({x}, {slope})"),
    "hard_sigmoid": settings("torch.clamp({alpha} * ({x}) + {beta}, 0, 1)"),
    "softmax": settings("F.softmax({x}, dim={axis})"),
    "clip": settings("torch.clamp({x}, {low}, {high})"),
    "pad": _pad,
    "upsample_nearest": settings('F.interpolate({x}, scale_factor={scale}, mode="nearest")'),
    "resize_bilinear": _resize_bilinear,
    "dropout": _dropout,
    "local_response_norm": settings("F.local_response_norm({x}, {size}, {alpha}, {beta}, {k})"),
    "flatten": function("torch.flatten({}, 1)"),
    "reshape": _reshape,
    "slice": _slice,
    "crop": _crop,
    "expand_dims": _method(".unsqueeze({axis})"),
    "transpose": _method(".permute({order})"),
    "stop_gradient": _method(".detach()"),
    "square": function("torch.square({})"),
    "sqrt": function("torch.sqrt({})"),
    "exp": function("torch.exp({})"),
    "abs": function("torch.abs({})"),
    "zeros_like": function("torch.zeros_like({})"),
    "ones_like": function("torch.ones_like({})"),
    "mean": _reduction("mean"),
    "sum": _reduction("sum"),
    "max": _reduction("amax"),
    "maximum_scalar": with_scalar("torch.clamp({0}, min={1})", 0, 2),
    "minimum_scalar": with_scalar("torch.clamp({0}, max={1})", 0, 2),
    "scatter": _scatter,
    "convolution": _convolve,
    "dense": function("F.linear({0}, {1}, {2})"),
    "max_pool": _pool("max_pool"),
    "average_pool": _pool("avg_pool"),
    "global_average_pool": _global_pool("avg"),
    "global_max_pool": _global_pool("max"),
}
