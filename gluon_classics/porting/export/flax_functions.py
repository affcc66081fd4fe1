"""JAX's functions: what an operation is in the source of a block's forward pass.

Axes of an image are renumbered. A maker returns None if there is no simple expression.
"""

from __future__ import annotations

from .codegen.dialect import TABLE
from .codegen.functions import ARITHMETIC, cropped, function, settings, with_scalar
from .codegen.text import Expression

AXES = {0: 0, 1: 3, 2: 1, 3: 2}  # where each axis of (N, C, H, W) is in (N, H, W, C)


def _axis(axis, shape):
    return AXES[axis] if len(shape) == 4 else axis


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
    axes = [_axis(axis, shapes[0]) for axis in row["axes"]]
    index = cropped(axes, row["begins"], row["ends"], len(shapes[0]))
    return Expression(f"{inputs[0].within(2)}[{index}]", depth)


def _expand_dims(operation, inputs, shapes, depth):
    if len(shapes[0]) > 3:
        return None
    text = f"jnp.expand_dims({inputs[0].text}, {operation.settings['axis']})"
    return Expression(f"jnp.moveaxis({text}, 1, -1)" if len(shapes[0]) == 3 else text, depth)


def _pad(operation, inputs, shapes, depth):
    row = operation.settings
    widths = list(row["widths"])
    for axis, pair in enumerate(row["widths"]):
        widths[_axis(axis, shapes[0])] = tuple(pair)
    more = f"constant_values={row['value']}" if row["mode"] == "constant" else f'mode="{row["mode"]}"'
    return Expression(f"jnp.pad({inputs[0].text}, {tuple(widths)}, {more})", depth + 2)  # long: its own statement


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
    plain = row["dilation"] == [1, 1] and row["groups"] == 1 and not any(row["padding"])
    bias = inputs[2].text if len(inputs) > 2 else 0
    strides = f", {tuple(row['stride'])}" if row["stride"] != [1, 1] else ""
    return Expression(f"convolution({inputs[0].text}, {inputs[1].text}, {bias}{strides})", depth) if plain else None


def _pool(name):
    def make(operation, inputs, _shapes, depth):
        row = operation.settings
        if any(row["padding"]) or row["rounding"] == "ceil":
            return None
        return Expression(f"nnx.{name}({inputs[0].text}, {tuple(row['kernel'])}, {tuple(row['stride'])})", depth)

    return make


def _softmax(operation, inputs, shapes, depth):
    return Expression(f"nnx.softmax({inputs[0].text}, axis={_axis(operation.settings['axis'], shapes[0])})", depth)


FUNCTION_LAYERS = {
    "relu": "nnx.relu",
    "sigmoid": "nnx.sigmoid",
    "tanh": "nnx.tanh",
    "softplus": "nnx.softplus",
    "softsign": "nnx.soft_sign",
    "selu": "nnx.selu",
}

EXPRESSIONS = {
    **ARITHMETIC,
    **{kind: function(f"{name}({{}})") for kind, name in FUNCTION_LAYERS.items()},
    "maximum": function("jnp.maximum({}, {})"),
    "concat": _concat,
    "tanh": function("jnp.tanh({})"),
    "gelu": function("nnx.gelu({}, approximate=False)"),
    "leaky_relu": settings("nnx.leaky_relu({x}, {slope})"),
    "elu": settings("nnx.elu({x}, {slope})"),
    "hard_sigmoid": settings("jnp.clip({alpha} * ({x}) + {beta}, 0, 1)"),
    "softmax": _softmax,
    "clip": settings("jnp.clip({x}, {low}, {high})"),
    "flatten": _flatten,
    "reshape": _reshape,
    "slice": _slice,
    "crop": _crop,
    "expand_dims": _expand_dims,
    "pad": _pad,
    "stop_gradient": function("jax.lax.stop_gradient({})"),
    "square": function("jnp.square({})"),
    "sqrt": function("jnp.sqrt({})"),
    "exp": function("jnp.exp({})"),
    "abs": function("jnp.abs({})"),
    "zeros_like": function("jnp.zeros_like({})"),
    "ones_like": function("jnp.ones_like({})"),
    "mean": _reduction("mean"),
    "sum": _reduction("sum"),
    "max": _reduction("max"),
    "maximum_scalar": with_scalar("jnp.maximum({0}, {1})", 0, 2),
    "minimum_scalar": with_scalar("jnp.minimum({0}, {1})", 0, 2),
    "scatter": _scatter,
    "convolution": _convolve,
    "max_pool": _pool("max_pool"),
    "average_pool": _pool("avg_pool"),
    "global_average_pool": function("jnp.mean({}, axis=(1, 2), keepdims=True)"),
    "global_max_pool": function("jnp.max({}, axis=(1, 2), keepdims=True)"),
}
