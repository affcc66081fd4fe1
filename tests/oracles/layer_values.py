"""Random values for the layers of a network, and rules that translate them to another network."""

from __future__ import annotations

from dataclasses import dataclass

from layer_lists import STATISTICS
import numpy as np

PATCHES = 8  # per side


@dataclass
class Values:
    """Arrays for the tensors of a layer of this kind, by role, and the epsilon of a batch normalization."""

    kind: str
    arrays: dict[str, np.ndarray]
    epsilon: float | None


def random_images(rng, shape):
    """Return random (N, C, H, W) images with mean 0 and standard deviation 1, made of patches and noise.

    The patches make the averages of the images differ.
    """
    number, channels, height, width = shape
    patch = np.ones((-(-height // PATCHES), -(-width // PATCHES)))
    patches = np.kron(rng.standard_normal((number, channels, PATCHES, PATCHES)), patch)[..., :height, :width]
    return ((patches + rng.standard_normal(shape)) / np.sqrt(2)).astype("float32")


def fill(framework, net, layers, images, rng):
    """Fill `net` with random values and return them, in the order of `layers`.

    The running statistics are close to those of `images`, but not equal. Every layer then affects the logits, even in a
    deep network, and normalization is not the identity.
    """
    values = [Values(layer.kind, _drawn(layer, rng), layer.settings.get("epsilon")) for layer in layers if layer.shapes]
    framework.put(layers, values)
    norms = [(layer, of_layer) for layer, of_layer in fitted(layers, values) if layer.kind == "norm"]
    if norms:
        framework.measure_statistics(net, layers, images)
    for layer, of_layer in norms:
        mean, variance = (framework.get(layer, role) for role in STATISTICS)
        of_layer.arrays["mean"] = mean + 0.2 * np.sqrt(variance) * rng.standard_normal(mean.shape)
        of_layer.arrays["variance"] = variance * rng.uniform(0.75, 1.5, variance.shape)
        framework.put([layer], [of_layer])
    return values


def _drawn(layer, rng):
    arrays = {}
    for role, shape in layer.shapes.items():
        if role == "weight":
            arrays[role] = rng.standard_normal(shape, dtype="float32") * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        elif role in ("gamma", "variance"):
            arrays[role] = rng.uniform(0.6, 1.4, shape)
        else:
            arrays[role] = rng.normal(0, 0.2, shape)
    return arrays


def fitted(layers, values):
    """Return pairs of a layer and its values, for the layers with tensors. Kinds, roles and shapes must agree."""
    layers = [layer for layer in layers if layer.shapes]
    assert [layer.kind for layer in layers] == [of_layer.kind for of_layer in values]
    for number, (layer, of_layer) in enumerate(zip(layers, values)):
        assert layer.shapes == {role: array.shape for role, array in of_layer.arrays.items()}, f"layer {number}"
    return zip(layers, values)


# --- rules: translate values of their layers to values of ours that compute the same function


def _followed(values):
    """Yield each convolution with the batch normalization that follows it, or None."""
    for of_layer, following in zip(values, [*values[1:], None]):
        if of_layer.kind == "convolution":
            yield of_layer, following if following is not None and following.kind == "norm" else None


def fold_biases(values):
    """Move biases before batch normalization into its running means: (x + b) - m = x - (m - b)."""
    for convolution, norm in _followed(values):
        if norm is not None and "bias" in convolution.arrays:
            norm.arrays["mean"] = norm.arrays["mean"] - convolution.arrays.pop("bias")
    return values


def fold_norms(values):
    """Move batch normalization, which is linear in prediction, into the convolution before it."""
    folded = []
    for convolution, norm in _followed(values):
        if norm is not None:
            weight, bias = convolution.arrays["weight"], convolution.arrays["bias"]
            factor = norm.arrays["gamma"] / np.sqrt(norm.arrays["variance"] + norm.epsilon)
            convolution.arrays["weight"] = weight * factor[:, None, None, None]
            convolution.arrays["bias"] = norm.arrays["beta"] + (bias - norm.arrays["mean"]) * factor
            folded.append(norm)
    return [of_layer for of_layer in values if all(of_layer is not norm for norm in folded)]


def last_as_dense(values):
    """Return the last layer, a 1x1 convolution without bias on maps of one pixel, as a dense layer with biases of 0."""
    *others, last = values
    weight = last.arrays["weight"].reshape(len(last.arrays["weight"]), -1)
    return [*others, Values("dense", {"weight": weight, "bias": np.zeros(len(weight))}, None)]


def zero_biases(values):
    """Add biases of 0 to convolutions that have neither bias nor batch normalization."""
    for convolution, norm in _followed(values):
        if norm is None and "bias" not in convolution.arrays:
            convolution.arrays["bias"] = np.zeros(len(convolution.arrays["weight"]))
    return values
