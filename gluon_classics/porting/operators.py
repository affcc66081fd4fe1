"""The operator table: every kind of operation, its parameters, its settings and its formula.

x is the first input, (N, C, H, W) unless the formula says otherwise; y is the output. Settings of spatial axes have one
number for each of them, and "padding" has those of all beginnings before those of all ends: [top, left, bottom, right].
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of operation.

    Attributes:
        formula: What it computes.
        settings: Names of the settings of every such operation.
        parameters: Roles of its parameters. A convolution or dense layer need not have a bias.
        sometimes: Names of settings that only some operations have.
    """

    formula: str
    settings: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()


_WINDOW = ("kernel", "stride", "padding")
_WEIGHTS = ("weight", "bias")
_AFFINE = ("gamma", "beta")

MASKED = ("dropout", "drop_block")  # kinds that take a keep mask in training mode

KINDS: dict[str, Kind] = {
    # layers with parameters
    "convolution": Kind(
        "cross-correlation with zero padding; weight (out, in / groups, height, width)",
        ("channels", *_WINDOW, "dilation", "groups"),
        _WEIGHTS,
    ),
    "transposed_convolution": Kind(
        "the gradient of a convolution with respect to its input; weight (in, out / groups, height, width)",
        ("channels", *_WINDOW, "output_padding", "dilation", "groups"),
        _WEIGHTS,
    ),
    "dense": Kind(
        "y = x weight^T + bias; with flatten, x is flattened to (N, C*H*W) first, in C, H, W order",
        ("units", "flatten"),
        _WEIGHTS,
        ("flattened",),
    ),
    "batch_norm": Kind(
        "y = (x - mean) / sqrt(variance + eps) * gamma + beta, per channel. Training takes the mean and the biased "
        "variance of the batch, and afterwards running = momentum_keep * running + (1 - momentum_keep) * batch with "
        "the same biased variance. Prediction takes the running statistics. fixed_gamma means that gamma is 1",
        ("eps", "momentum_keep", "variance", "use_running", "fixed_gamma", "axis"),
        (*_AFFINE, "running_mean", "running_var"),
    ),
    "layer_norm": Kind("y = (x - mean) / sqrt(variance + eps) * gamma + beta, along axis", ("axis", "eps"), _AFFINE),
    "instance_norm": Kind("batch normalization of each image and channel alone, in every mode", ("eps",), _AFFINE),
    "group_norm": Kind(
        "normalization of each image and group of channels alone; one gamma and beta for each group",
        ("groups", "eps"),
        _AFFINE,
    ),
    "prelu": Kind("y = x if x > 0, else slope * x, per channel", (), ("slope",)),
    # layers without parameters
    "max_pool": Kind("largest value of each window; padding counts as -infinity", (*_WINDOW, "rounding")),
    "average_pool": Kind(
        "mean of each window; with include_pad the padding counts as zeros. What lies beyond the padding because of "
        "rounding up does not count",
        (*_WINDOW, "rounding", "include_pad"),
    ),
    "global_max_pool": Kind("largest value of each channel, (N, C, 1, 1)"),
    "global_average_pool": Kind("mean of each channel, (N, C, 1, 1)"),
    "adaptive_average_pool": Kind("mean of size[0] x size[1] windows that cover the map", ("size",)),
    "local_response_norm": Kind(
        "y = x / (k + alpha / size * sum of x^2 over size neighboring channels)^beta; fewer at the first and last ones",
        ("size", "alpha", "beta", "k", "alpha_divided_by_size"),
    ),
    "dropout": Kind(
        "training: y = x * mask / (1 - drop), where mask is 0 with probability drop, else 1, and has size 1 along "
        "shared_axes; prediction: y = x",
        ("drop", "shared_axes"),
    ),
    "drop_block": Kind(
        "training: y = x * mask * (number of values of mask) / (sum of mask), where mask is 0 in squares of block_size "
        "x block_size values around random places, else 1, and has size 1 along shared_axes; prediction: y = x. A "
        "place is drawn with probability drop * H * W / block_size^2 / ((H - block_size + 1) * (W - block_size + 1))",
        ("drop", "block_size", "shared_axes"),
    ),
    "relu": Kind("y = max(x, 0); the gradient at 0 is 0"),
    "sigmoid": Kind("y = 1 / (1 + exp(-x))"),
    "tanh": Kind("y = tanh(x)"),
    "softplus": Kind("y = log(1 + exp(x))"),
    "softsign": Kind("y = x / (1 + |x|)"),
    "leaky_relu": Kind("y = x if x > 0, else slope * x", ("slope",)),
    "elu": Kind("y = x if x > 0, else slope * (exp(x) - 1)", ("slope",)),
    "selu": Kind("y = 1.0507 x if x > 0, else 1.0507 * 1.67326 * (exp(x) - 1)"),
    "gelu": Kind("y = x / 2 * (1 + erf(x / sqrt(2)))"),
    "hard_sigmoid": Kind("y = min(max(alpha * x + beta, 0), 1)", ("alpha", "beta")),
    "softmax": Kind("y = exp(x) / sum of exp(x) along axis", ("axis",)),
    "clip": Kind("y = min(max(x, low), high)", ("low", "high")),
    "pad": Kind(
        "x with widths [before, after] for each axis, one after another; mode constant, edge or reflect",
        ("mode", "widths"),
        (),
        ("value",),
    ),
    "upsample_nearest": Kind("each value scale x scale times", ("scale",)),
    "resize_bilinear": Kind(
        "x with maps of another size, interpolated linearly along each axis. With align_corners value i is taken at "
        "i * (size of x - 1) / (size - 1), else at (i + 1/2) * (size of x) / size - 1/2, but not before the first or "
        "behind the last value of x. An axis of size 1 has the first value of x",
        ("size", "align_corners"),
    ),
    # several inputs
    "concat": Kind("the inputs one after another along axis", ("axis",)),
    "add": Kind("x + x2"),
    "subtract": Kind("x - x2"),
    "multiply": Kind("x * x2; axes of size 1 are repeated"),
    "divide": Kind("x / x2"),
    "maximum": Kind("the larger one of x and x2"),
    "matrix_product": Kind(
        "x x2 of the matrices in the last two axes; transposed says of each input whether its matrices are transposed",
        ("transposed",),
    ),
    "sum_of_inputs": Kind("x + x2 + x3 + ..."),
    # shapes
    "flatten": Kind("x as (N, C*H*W), in C, H, W order"),
    "reshape": Kind("x in another shape, in C order; null is the number of images", ("shape",)),
    "slice": Kind("x from begin up to before end along axis", ("axis", "begin", "end")),
    "crop": Kind("x from its begin up to before its end along each one of axes", ("axes", "begins", "ends")),
    "expand_dims": Kind("x with a new axis of size 1", ("axis",)),
    "transpose": Kind("x with its axes in another order", ("order",)),
    # arithmetic
    "square": Kind("x^2"),
    "sqrt": Kind("square root of x"),
    "exp": Kind("exp(x)"),
    "abs": Kind("|x|"),
    "zeros_like": Kind("zeros in the shape of x"),
    "ones_like": Kind("ones in the shape of x"),
    "stop_gradient": Kind("x, without a gradient"),
    "mean": Kind("mean over axes", ("axes", "keepdims")),
    "sum": Kind("sum over axes", ("axes", "keepdims")),
    "max": Kind("largest value over axes", ("axes", "keepdims")),
    "add_scalar": Kind("x + scalar", ("scalar",)),
    "subtract_scalar": Kind("x - scalar", ("scalar",)),
    "subtract_from_scalar": Kind("scalar - x", ("scalar",)),
    "multiply_scalar": Kind("x * scalar", ("scalar",)),
    "divide_scalar": Kind("x / scalar", ("scalar",)),
    "divide_scalar_by": Kind("scalar / x", ("scalar",)),
    "power_scalar": Kind("x^scalar", ("scalar",)),
    "maximum_scalar": Kind("max(x, scalar)", ("scalar",)),
    "minimum_scalar": Kind("min(x, scalar)", ("scalar",)),
}
