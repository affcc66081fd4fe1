"""Test level P: each mistake in preprocessing is named, and a right port in other arithmetic conforms."""

from dataclasses import replace
import functools

from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.porting.comparison.comparison import assert_conforms, compare
from gluon_classics.porting.mistakes.image_variants import IMAGE_VARIANTS
from gluon_classics.utils.preprocess import Preprocess
import numpy as np
import pytest
import small_network

RAW = np.stack(list(load_dataset(str(SAMPLE_FOLDER)).test.images[:3, :, :, 0]), axis=-1)
DEFINED = "bilinear, centers of pixels at half-integers, no antialiasing (OpenCV's INTER_LINEAR)"


@functools.lru_cache(maxsize=None)
def _trace(size=20, dtype="uint8", fit="resize", pixels=(0.0, 1.0), image_size=None):
    """Return a trace with a raw image and what a recipe makes of it."""
    trace = small_network.trace(1)
    image, _ = Preprocess(size, dtype, fit, pixels, image_size).from_numpy(RAW[None], np.zeros(1))
    rounding = "to whole pixel values" if dtype == "uint8" else "none"
    recipe = {
        "size": [size, size],
        "fit": fit,
        "resize": {"method": DEFINED, "type": dtype, "rounding": rounding},
        "pixel_0_becomes": pixels[0],
        "pixel_255_becomes": pixels[1],
    }
    if image_size:
        recipe["image_size"] = [image_size, image_size]
    tensors = {**trace.tensors, "raw": RAW, "preprocessed": image[0].asnumpy()}
    return replace(trace, recipe={**trace.recipe, "preprocessing": recipe}, tensors=tensors)


def _compare(trace, image):
    return compare(trace, {"input": trace.tensors["input"], "preprocessed": np.float32(image)})


# --- resizing, written differently from the comparison: each function takes a line of pixels and the new number


def _half(size, new):
    return (np.arange(new) + 0.5) * size / new - 0.5


def _linear(positions):
    return lambda line, new: np.interp(positions(len(line), new), np.arange(len(line)), line)


def _kernel(x, a):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def _cubic(a):
    def resize(line, new):
        result = []
        for position in _half(len(line), new):
            first = int(np.floor(position)) - 1
            taps = range(first, first + 4)
            result.append(sum(line[min(max(t, 0), len(line) - 1)] * _kernel(position - t, a) for t in taps))
        return np.array(result)

    return resize


def _antialiased(kernel, reach):
    """Resize as Pillow does: the kernel is stretched, and pixels beyond the edge do not count."""

    def resize(line, new):
        scale = max(1.0, len(line) / new)
        result = []
        for number in range(new):
            center = (number + 0.5) * len(line) / new
            taps = range(max(0, int(center - reach * scale + 0.5)), min(len(line), int(center + reach * scale + 0.5)))
            weights = np.array([kernel((t + 0.5 - center) / scale) for t in taps])
            result.append(weights @ line[taps.start : taps.stop] / weights.sum())
        return np.array(result)

    return resize


def _area(line, new):
    total = np.concatenate([[0.0], np.cumsum(line)])
    edges = np.interp(np.linspace(0, len(line), new + 1), np.arange(len(line) + 1), total)
    return np.diff(edges) * new / len(line)


METHODS = {
    "bilinear, aligned corners": _linear(lambda size, new: np.linspace(0, size - 1, new)),
    "bilinear": _linear(_half),
    "bilinear, corners of pixels at whole numbers": _linear(lambda size, new: np.arange(new) * size / new),
    "bilinear with antialiasing": _antialiased(lambda x: max(0.0, 1 - abs(x)), 1),
    "nearest neighbor": lambda line, new: line[np.arange(new) * len(line) // new],
    "nearest neighbor by centers": lambda line, new: line[np.int64((np.arange(new) + 0.5) * len(line) / new)],
    "bicubic (a = -0.75)": _cubic(-0.75),
    "bicubic (a = -0.5)": _cubic(-0.5),
    "bicubic with antialiasing": _antialiased(lambda x: _kernel(x, -0.5), 2),
    "mean over areas": _area,
}
ROUNDINGS = {
    "rounded to whole pixel values": lambda x: np.floor(np.clip(x, 0, 255) + 0.5),
    "cut to whole pixel values": lambda x: np.floor(np.clip(x, 0, 255)),
    "without rounding": lambda x: x,
}


def _resized(method, size):
    image = np.apply_along_axis(METHODS[method], 0, np.float64(RAW), size)
    return np.apply_along_axis(METHODS[method], 1, image, size)


def _as_input(image, low=0.0, high=1.0):
    return (image / 255 * (high - low) + low).transpose(2, 0, 1)


def _channels(*numbers):
    return np.reshape(numbers, (3, 1, 1))


MEAN, DEVIATION = _channels(0.485, 0.456, 0.406), _channels(0.229, 0.224, 0.225)
OTHERS = {
    "the pixels are multiplied by 255": lambda x: 255 * x,
    "the pixels are divided by 255": lambda x: x / 255,
    "the channels are in the order blue, green, red": lambda x: x[::-1],
    "the layout (N, H, W, C) is reshaped, not transposed": lambda x: x.transpose(1, 2, 0).reshape(x.shape),
    "the layout (N, C, H, W) is read as (N, H, W, C)": lambda x: x.reshape(*x.shape[1:], 3).transpose(2, 0, 1),
    "height and width are swapped": lambda x: x.swapaxes(1, 2),
    "the image is mirrored left to right": lambda x: x[..., ::-1],
    "the image is upside down": lambda x: x[..., ::-1, :],
    "the pixels are rounded to whole numbers of 1/255": lambda x: np.round(x * 255) / 255,
    "the pixels are cut to whole numbers of 1/255": lambda x: np.floor(x * 255) / 255,
    "the pixels are mapped from 0..1 to -1..1": lambda x: 2 * x - 1,
    "the pixels are rounded to half precision": lambda x: x.astype(np.float16),
    "the pixels are rounded to bfloat16": lambda x: (
        (np.float32(x).view(np.uint32) + 0x7FFF + (np.float32(x).view(np.uint32) >> 16 & 1)) >> 16 << 16
    ).view(np.float32),
    "the image is normalized once more:": lambda x: (x - MEAN) / DEVIATION,
    "the channels are reversed and normalized:": lambda x: (x[::-1] - MEAN) / DEVIATION,
}


UNCROPPED = "the whole image is resized, but its middle is defined to be cut out"


def test_each_mistake_of_preprocessing_is_tested():
    resizes = {f"the resize is {method}, {rounding}" for method in METHODS for rounding in ROUNDINGS}
    planted = {*resizes, *OTHERS, "the image is padded, not resized", UNCROPPED}
    assert planted == {variant.name for variant in IMAGE_VARIANTS}


@pytest.mark.parametrize(("dtype", "pixels"), [("uint8", (0.0, 1.0)), ("float32", (-0.1, 1.175))])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("method", METHODS)
def test_another_resize_is_named(method, rounding, dtype, pixels):
    trace = _trace(20, dtype, pixels=pixels)
    report = _compare(trace, _as_input(ROUNDINGS[rounding](_resized(method, 20)), *pixels))
    own = "rounded to whole pixel values" if dtype == "uint8" else "without rounding"
    if (method, rounding) == ("bilinear", own):
        assert report.conforms, report.text(everything=True)
        assert "P" in report.level
    else:
        causes = [report.first.cause, *report.first.alternatives]
        assert f"the resize is {method}, {rounding}" in causes
        assert len(causes) == (3 if "nearest" in method else 1)  # there is nothing to round
        assert report.level == ""


@pytest.mark.parametrize("name", OTHERS)
def test_other_mistakes_of_an_image_are_named(name):
    trace = _trace(20, "float32")  # an image of whole pixel values cannot show that it is rounded to them
    report = _compare(trace, OTHERS[name](np.float64(trace.tensors["preprocessed"])))
    causes = [report.first.cause, *report.first.alternatives]
    assert any(cause.startswith(name) for cause in causes)
    assert len(causes) == (2 if "whole" in name else 1)  # it is the same as another rounding of the resize
    if "normalized" in name:
        assert report.first.cause.endswith("mean 0.485, 0.456, 0.406, standard deviation 0.229, 0.224, 0.225")


def test_padding_in_the_place_of_a_resize_is_named_and_the_reverse():
    trace = _trace(32)
    padded = _trace(32, fit="pad")
    report = _compare(trace, padded.tensors["preprocessed"])
    assert report.first.cause == "the image is padded, not resized"
    report = _compare(padded, _as_input(_resized("bilinear", 32)))
    assert report.first.cause == "the resize is bilinear, without rounding"
    assert "P" in _compare(padded, padded.tensors["preprocessed"]).level


# what the pixels 0 and 255 become with the mean and the standard deviation of ImageNet
NORMALIZED = tuple(tuple(map(float, ((value - MEAN) / DEVIATION).ravel())) for value in (0, 1))


def _normalized(image):
    return (_as_input(image) - MEAN) / DEVIATION


@pytest.mark.parametrize("method", ["bilinear", "bilinear with antialiasing", "nearest neighbor", "mean over areas"])
def test_another_resize_of_a_crop_is_named_also_with_normalized_pixels(method):
    trace = _trace(20, "float32", "crop", NORMALIZED, image_size=24)
    report = _compare(trace, _normalized(_resized(method, 24)[2:22, 2:22]))
    if method == "bilinear":
        assert report.conforms, report.text(everything=True)
    else:
        assert any(method in cause for cause in (report.first.cause, *report.first.alternatives))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_whole_image_in_the_place_of_its_middle_is_named(dtype):
    trace = _trace(20, dtype, "crop", NORMALIZED, image_size=24)
    rounding = ROUNDINGS["rounded to whole pixel values" if dtype == "uint8" else "without rounding"]
    report = _compare(trace, _normalized(rounding(_resized("bilinear", 20))))
    assert UNCROPPED in (report.first.cause, *report.first.alternatives)
    assert "P" in _compare(trace, _normalized(rounding(_resized("bilinear", 24)[2:22, 2:22]))).level


def test_pixels_that_are_not_normalized_are_named():
    trace = _trace(20, "float32", pixels=NORMALIZED)
    report = _compare(trace, _as_input(_resized("bilinear", 20)))
    assert not report.conforms
    assert "normalized" in report.first.cause


@pytest.mark.parametrize("size", [20, 32, 96])
def test_ties_may_be_rounded_either_way(size):
    """OpenCV resizes in fixed-point arithmetic; the exact value, rounded by any rule for ties, is right as well."""
    trace = _trace(size)
    for rounded in (np.round, lambda x: np.ceil(x - 0.5)):  # ties to even, ties down
        report = _compare(trace, _as_input(rounded(_resized("bilinear", size))))
        assert report.conforms, report.text(everything=True)
        assert "P" in report.level
        assert any("rounded to the other neighbor" in notice for notice in report.notices)


def test_level_p_is_asserted(capsys):
    trace = _trace()
    port = {"input": trace.tensors["input"], "preprocessed": trace.tensors["preprocessed"]}
    assert_conforms(trace, port, "P")
    assert capsys.readouterr().out.startswith("level reached: P (preprocessing)")
    port["preprocessed"] = port["preprocessed"][::-1]
    with pytest.raises(AssertionError, match="blue, green, red"):
        assert_conforms(trace, port, "P")
