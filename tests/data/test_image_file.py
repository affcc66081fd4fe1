"""One image file, in every format, depth and kind of transparency: it is read as a viewer shows it.

The pixels that a file is made from are the reference where the format is lossless. Formulas and Pillow's own
composition are the reference elsewhere.
"""

import os
import struct
import zlib

import cv2
from gluon_classics.data.image_file import read_header, read_pixels, readable_suffixes
from gluon_classics.data.images import read_image
import numpy as np
from PIL import Image, ImageOps
import pytest

WHITE, BLACK, ORANGE = (255, 255, 255), (0, 0, 0), (255, 128, 0)
LOSSLESS = {
    "gray.png": {},
    "gray.bmp": {},
    "gray.tiff": {},
    "gray.jp2": {"irreversible": False},
    "gray.pgm": {},
    "gray.gif": {},
    "gray.pcx": {},
    "gray.sgi": {},
    "color.png": {},
    "color.bmp": {},
    "color.tif": {"compression": "tiff_lzw"},
    "color.webp": {"lossless": True},
    "color.jp2": {"irreversible": False},
    "color.ppm": {},
    "color.pcx": {},
    "color.rgb": {},
    "color.ico": {"sizes": [(7, 5)], "bitmap_format": "png"},
}


@pytest.fixture
def color(rng):
    """Return random pixels (5, 7, 3)."""
    return rng.randint(0, 256, (5, 7, 3)).astype(np.uint8)


@pytest.fixture
def gray(color):
    """Return random pixels (5, 7)."""
    return color[..., 0]


@pytest.fixture
def alpha(rng):
    """Return random alpha values (5, 7), with fully transparent and fully opaque ones."""
    values = rng.randint(0, 256, (5, 7)).astype(np.uint8)
    values[0], values[1] = 0, 255
    return values


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file from bytes, or from an image with the arguments of Pillow's `save`."""

    def write(content, name="a.png", **options):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(path, **options)
        return path

    return write


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows, width, depth, kind, *before, after=(), height=None):
    """Return a PNG file from rows of bytes, with chunks before and after the pixels."""
    header = struct.pack(">IIBBBBB", width, height or len(rows), depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    chunks = [chunk(b"IHDR", header), *before, chunk(b"IDAT", pixels), *after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def packed(values, depth):
    """Return rows of bytes with `depth` bits per value."""
    bits = np.unpackbits(np.asarray(values, np.uint8)[..., None], axis=2)[:, :, 8 - depth :]
    return np.packbits(bits.reshape(len(values), -1), axis=1)


def tiff(rows, width, bits, photometric=1, sample_format=1, order="<"):
    """Return an uncompressed TIFF file from rows of bytes."""
    pixels = b"".join(map(bytes, rows))
    tags = [(256, width), (257, len(rows)), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1)]
    tags += [(278, len(rows)), (279, len(pixels)), (339, sample_format)]
    directory = struct.pack(order + "H", len(tags))
    for number, value in tags:
        directory += struct.pack(order + "HHIH2x", number, 3, 1, value)
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8 + len(pixels))
    return start + pixels + directory + bytes(4)


def over(pixels, alpha, matte):
    """Return the formula of transparent pixels over a color."""
    share = alpha[..., None] / 255
    return np.rint(pixels.reshape(*alpha.shape, -1) * share + np.array(matte) * (1 - share))


# ---------------------------------------------------------------- plain images


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_file_has_the_pixels_that_it_was_made_from(file, gray, color, name):
    pixels = gray[..., None] if name.startswith("gray") else color
    path = file(pixels.squeeze(), name, **LOSSLESS[name])
    assert read_header(path).channels(WHITE) == pixels.shape[2]
    np.testing.assert_array_equal(read_image(path), pixels)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"keep_rgb": True}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_has_the_pixels_that_pillow_decodes(file, rng, mode, options):
    noise = cv2.resize(rng.randint(0, 256, (6, 5, 3)).astype(np.uint8), (50, 60))
    path = file(Image.fromarray(noise).convert(mode), "a.jpg", **options)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path).squeeze(), np.asarray(image))


def test_a_webp_has_the_pixels_that_opencv_decodes(file, color):
    path = file(color, "a.webp", quality=50)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])


@pytest.mark.skipif(".avif" not in readable_suffixes(), reason="Pillow reads AVIF from version 11.3 on")
def test_an_avif_has_nearly_the_pixels_that_it_was_made_from(file):
    path = file(np.full((16, 16, 3), ORANGE, np.uint8), "a.avif")
    np.testing.assert_allclose(read_image(path).mean((0, 1)), ORANGE, atol=3)  # AVIF is lossy


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk_is_shown_without_a_color_profile(file, name):
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 128, 0], [0, 128, 255, 64]]], np.uint8).repeat(8, 1)
    inks = inks.repeat(8, 0)
    path = file(
        Image.merge("CMYK", [Image.fromarray(ink) for ink in inks.transpose(2, 0, 1)]),
        name,
        **({"quality": 100} if name == "a.jpg" else {}),
    )
    expected = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    np.testing.assert_allclose(read_image(path), expected, atol=1 if name == "a.tiff" else 4)  # JPEG is lossy


def test_ycbcr_is_converted(file, color):
    image = Image.fromarray(color).convert("YCbCr")
    luma, blue, red = np.asarray(image).astype(float).transpose(2, 0, 1) - [[[0]], [[128]], [[128]]]
    expected = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], 2)
    # each of the two terms and the sum may be rounded
    np.testing.assert_allclose(
        read_image(file(image, "a.tiff", compression="tiff_lzw")), expected.clip(0, 255), atol=1.5
    )


# ---------------------------------------------------------------- palettes


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("is_gray", [True, False])
def test_palettes_are_looked_up_and_gray_ones_make_a_grayscale_image(file, rng, depth, is_gray):
    palette = rng.randint(0, 256, (2**depth, 3)).astype(np.uint8)
    palette[:] = palette[:, :1] if is_gray else palette
    numbers = rng.randint(0, 2**depth, (5, 7))
    path = file(png(packed(numbers, depth), 7, depth, 3, chunk(b"PLTE", palette.tobytes())))
    np.testing.assert_array_equal(read_image(path), palette[numbers][..., : 1 if is_gray else 3])


@pytest.mark.parametrize("suffix", ["gif", "bmp", "tiff", "pcx"])
@pytest.mark.parametrize("is_gray", [True, False])
def test_palettes_of_other_formats_are_read_too(file, rng, suffix, is_gray):
    palette = rng.randint(0, 256, (256, 3)).astype(np.uint8)
    palette[:] = palette[:, :1] if is_gray else palette
    numbers = rng.randint(0, 256, (5, 7)).astype(np.uint8)
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    path = file(image, f"a.{suffix}")
    np.testing.assert_array_equal(read_image(path), palette[numbers][..., : 1 if is_gray else 3])


# ---------------------------------------------------------------- transparency


@pytest.mark.parametrize("matte", [WHITE, BLACK, ORANGE], ids=["white", "black", "#ff8000"])
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp", "a.ico", "a.jp2"])
def test_an_alpha_channel_is_composited(file, color, alpha, name, matte):
    options = {"a.webp": {"lossless": True, "exact": True}, "a.ico": {"sizes": [(7, 5)]}, "a.jp2": {}}
    path = file(np.dstack([color, alpha]), name, **options.get(name, {}))
    header = read_header(path)
    assert header.is_transparent
    assert header.channels(matte) == 3
    np.testing.assert_array_equal(read_pixels(header, matte), over(color, alpha, matte))


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
@pytest.mark.parametrize("matte", [WHITE, BLACK, ORANGE], ids=["white", "black", "#ff8000"])
def test_gray_with_alpha_stays_gray_on_gray_only(file, gray, alpha, name, matte):
    header = read_header(file(np.dstack([gray, alpha]), name))
    assert header.channels(matte) == (3 if matte == ORANGE else 1)
    np.testing.assert_array_equal(read_pixels(header, matte), over(gray, alpha, matte[: header.channels(matte)]))


@pytest.mark.parametrize("kind", [4, 6], ids=["gray", "color"])
def test_sixteen_bits_with_alpha_are_composited(file, rng, kind):
    channels = {4: 2, 6: 4}[kind]
    wide = rng.randint(0, 2**16, (5, 7, channels))
    path = file(png([row.astype(">u2").tobytes() for row in wide], 7, 16, kind))
    upper = (wide >> 8).astype(np.uint8)
    np.testing.assert_array_equal(read_image(path), over(upper[..., :-1], upper[..., -1], WHITE[: channels - 1]))


def test_premultiplied_alpha_is_composited(file):
    path = file(np.array([[[120, 100, 0, 128]]], np.uint8), "a.tiff")
    extra_samples = (struct.pack("<HHIH", 338, 3, 1, value) for value in (2, 1))  # alpha, then premultiplied alpha
    path.write_bytes(path.read_bytes().replace(*extra_samples))
    # the colors are already multiplied by 128 / 255; dividing them by it rounds
    np.testing.assert_allclose(read_image(path)[0, 0], np.array([120, 100, 0]) + 127, atol=1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_shade_of_gray_is_composited(file, depth):
    key = {1: 0, 16: 1000}.get(depth, 1)
    values = np.array([[0, key, 2**depth - 1, key + 1 if depth > 1 else 1]])
    rows = [values.astype(">u2").tobytes()] if depth == 16 else packed(values, depth)
    path = file(png(rows, 4, depth, 0, chunk(b"tRNS", struct.pack(">H", key))))
    shades = values >> 8 if depth == 16 else values * 255 // (2**depth - 1)
    np.testing.assert_array_equal(read_pixels(read_header(path), WHITE)[..., 0], np.where(values == key, 255, shades))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_color_is_composited(file, depth):
    key = (1, 2, 3) if depth == 8 else (1000, 2, 3)
    colors = np.array([[[0, 0, 0], key, (key[0] + 1, 2, 3), (200, 2, 3)]])
    rows = [colors.astype(">u2" if depth == 16 else "u1").tobytes()]
    path = file(png(rows, 4, depth, 2, chunk(b"tRNS", struct.pack(">3H", *key))))
    expected = colors >> (depth - 8)
    expected[0, 1] = ORANGE
    np.testing.assert_array_equal(read_pixels(read_header(path), ORANGE), expected)


@pytest.mark.parametrize("alphas", [[255, 0], [255, 0, 128, 7]], ids=["one color", "alpha values"])
def test_transparent_colors_of_a_palette_are_composited(file, rng, alphas):
    palette = rng.randint(0, 256, (4, 3)).astype(np.uint8)
    numbers = np.array([[0, 1, 2, 3]])
    path = file(png(packed(numbers, 8), 4, 8, 3, chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", bytes(alphas))))
    alpha = np.array([[*alphas, 255, 255][:4]])
    np.testing.assert_array_equal(read_image(path), over(palette[numbers], alpha, WHITE))


def test_a_transparent_color_of_a_gif_is_composited(file):
    image = Image.fromarray(np.array([[0, 1, 2, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    path = file(image, "a.gif", transparency=1)
    np.testing.assert_array_equal(read_image(path)[0], [(10, 20, 30), WHITE, (70, 80, 90), WHITE])


def test_files_that_look_alike_give_the_same_pixels(file, rng, alpha):
    gray = rng.randint(0, 255, alpha.shape).astype(np.uint8)
    is_seen = alpha > 127
    shown, seen = np.where(is_seen, gray, 255).astype(np.uint8), is_seen * np.uint8(255)
    palette = np.append(np.arange(255), 0).repeat(3).astype(np.uint8)  # number 255 is black, but transparent
    rows = np.where(is_seen, gray, 255).astype(np.uint8)
    numbered = png(rows, 7, 8, 3, chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", b"\xff" * 255 + b"\0"))
    for path in (
        file(shown, "opaque.png"),
        file(np.dstack([np.where(is_seen, gray, 0).astype(np.uint8)] * 3 + [seen]), "hidden black.png"),
        file(np.dstack([gray, seen]), "hidden noise.png"),
        file(numbered, "palette.png"),
    ):
        np.testing.assert_array_equal(read_image(path, channels=1)[..., 0], shown)


# ---------------------------------------------------------------- all modes and formats


WRITTEN = {  # what Pillow writes
    "1": "png tiff gif webp jpg bmp ico ppm pcx",
    "L": "png tiff gif webp jpg bmp jp2 ico ppm sgi pcx",
    "LA": "png tiff gif webp jp2 ico",
    "P": "png tiff gif webp bmp ico pcx",
    "PA": "tiff webp",
    "RGB": "png tiff gif webp jpg bmp jp2 ico ppm sgi pcx",
    "RGBA": "png tiff gif webp bmp jp2 ico ppm sgi",
    "CMYK": "tiff jpg",
    "YCbCr": "jpg",
}


@pytest.mark.parametrize(
    ("mode", "suffix"), [(mode, suffix) for mode, suffixes in WRITTEN.items() for suffix in suffixes.split()]
)
def test_a_file_is_what_pillow_shows_on_the_same_color(file, color, alpha, mode, suffix):
    image = Image.fromarray(np.dstack([color, alpha])).convert("RGB" if mode in ("CMYK", "YCbCr") else "RGBA")
    path = file(image.convert(mode), f"a.{suffix}", **({"sizes": [(7, 5)]} if suffix == "ico" else {}))
    with Image.open(path) as image:
        shown = ImageOps.exif_transpose(image)
        shown = shown.convert("RGB").convert("RGBA") if mode == "CMYK" else shown.convert("RGBA")
    shown = Image.alpha_composite(Image.new("RGBA", shown.size, ORANGE), shown).convert("RGB")
    pixels = read_pixels(read_header(path), ORANGE)
    np.testing.assert_array_equal(np.broadcast_to(pixels, (5, 7, 3)), shown)


# ---------------------------------------------------------------- orientation


def turned(pixels, orientation):
    """Return pixels as EXIF defines the orientations: where row 0 and column 0 of the file are shown."""
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels),
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "name", ["a.jpg", "a.png", "late.png", "a.webp", "a.tiff", "lzw.tiff", "alpha.png", "wide.png"]
)
def test_the_orientation_of_exif_is_applied(file, rng, name, orientation):
    pixels = cv2.resize(rng.randint(0, 256, (2, 3, 3)).astype(np.uint8), (48, 32), interpolation=cv2.INTER_NEAREST)
    exif = Image.Exif()
    exif[274] = orientation
    options = {
        "a.webp": {"lossless": True},
        "lzw.tiff": {"compression": "tiff_lzw"},
        "a.jpg": {"quality": 100, "subsampling": 0},
    }
    if name == "late.png":
        late = chunk(b"eXIf", exif.tobytes()[6:])
        path = file(png(pixels.reshape(32, -1), 48, 8, 2, after=[late]), name)
    elif name == "wide.png":
        pixels = pixels[..., :1]
        path = file(Image.fromarray(pixels[..., 0].astype(np.uint16) * 256), name, exif=exif)
    elif name == "alpha.png":
        path = file(np.dstack([pixels, np.full((32, 48), 255, np.uint8)]), name, exif=exif)
    else:
        path = file(pixels, name, exif=exif, **options.get(name, {}))
    expected = turned(pixels, orientation)
    np.testing.assert_allclose(read_image(path), expected, atol=3 if name == "a.jpg" else 0)  # JPEG is lossy


# ---------------------------------------------------------------- depth


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_per_pixel_are_scaled_to_black_and_white(file, rng, depth):
    values = rng.randint(0, 2**depth, (5, 7))
    path = file(png(packed(values, depth), 7, depth, 0))
    np.testing.assert_array_equal(read_image(path)[..., 0], values * 255 // (2**depth - 1))


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pbm", "a.gif", "a.bmp"])
def test_black_and_white_files_are_grayscale(file, gray, name):
    path = file(Image.fromarray(gray > 128), name)
    np.testing.assert_array_equal(read_image(path)[..., 0], (gray > 128) * 255)


@pytest.mark.parametrize("kind", [0, 2], ids=["gray", "color"])
def test_sixteen_bits_are_cut_to_the_upper_eight(file, rng, kind):
    wide = rng.randint(0, 2**16, (5, 7, 3 if kind else 1))
    path = file(png([row.astype(">u2").tobytes() for row in wide], 7, 16, kind))
    np.testing.assert_array_equal(read_image(path), wide >> 8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1], ids=["0 is white", "0 is black"])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_bytes_of_a_tiff_are_read_in_its_order_and_polarity(file, rng, order, photometric, bits):
    if (order, photometric, bits) == (">", 0, 16):
        pytest.skip("Pillow does not read this kind, so that it is refused")
    values = rng.randint(0, 2**bits, (5, 7))
    path = file(tiff([row.astype(f"{order}u{bits // 8}").tobytes() for row in values], 7, bits, photometric, 1, order))
    shown = values if photometric else 2**bits - 1 - values
    np.testing.assert_array_equal(read_image(path)[..., 0], shown >> (bits - 8))


def test_twelve_bits_of_a_tiff_are_scaled_to_eight(file, rng):
    values = rng.randint(0, 2**12, (5, 8))
    rows = [b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in row.reshape(-1, 2)) for row in values]
    np.testing.assert_array_equal(read_image(file(tiff(rows, 8, 12), "a.tiff"))[..., 0], values >> 4)


@pytest.mark.parametrize(("largest", "bits"), [(65535, 16), (4095, 12), (1000, 10)])
def test_a_netpbm_file_is_scaled_by_its_largest_value(file, rng, largest, bits):
    values = rng.randint(0, largest + 1, (5, 7))
    path = file(b"P5 7 5 %d\n" % largest + values.astype(">u2").tobytes(), "a.pgm")
    np.testing.assert_allclose(read_image(path)[..., 0], values / largest * 255, atol=1)  # rounded twice


@pytest.mark.parametrize("kind", [0, 2], ids=["gray", "color"])
def test_twelve_bits_in_sixteen_are_read_as_shown_with_a_warning(file, rng, kind, capsys):
    wide = rng.randint(0, 2**12, (5, 7, 3 if kind else 1))
    wide[0, 0] = 4095
    path = file(png([row.astype(">u2").tobytes() for row in wide], 7, 16, kind))
    np.testing.assert_array_equal(read_image(path), wide >> 8)
    assert f"{path}: nearly black" in capsys.readouterr().err


@pytest.mark.parametrize("values", [np.zeros((5, 7)), np.full((5, 7), 4096)], ids=["all black", "brighter"])
def test_other_sixteen_bit_images_are_read_without_a_warning(file, values, capsys):
    read_image(file(Image.fromarray(values.astype(np.uint16))))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("bits", "sample_format", "what"),
    [(32, 3, "floating-point"), (32, 1, "32-bit"), (16, 2, "signed"), (8, 2, "signed")],
)
def test_pixels_without_a_known_range_are_refused(file, data_error, bits, sample_format, what):
    path = file(tiff([bytes(7 * bits // 8)] * 5, 7, bits, sample_format=sample_format), "a.tiff")
    with data_error(path, what, "8 bits"):
        read_image(path)


# ---------------------------------------------------------------- several images in one file


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tiff"])
def test_only_the_first_image_of_a_file_is_read_with_a_warning(file, color, name, capsys):
    frames = [Image.fromarray(np.full((5, 7, 3), value, np.uint8)) for value in (40, 80, 120)]
    options = {"a.webp": {"lossless": True}}.get(name, {})
    path = file(frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert (read_image(path, channels=3) == 40).all()
    assert f"{path}: several images" in capsys.readouterr().err


# ---------------------------------------------------------------- size


@pytest.mark.parametrize("shape", [(60, 60), (60, 20), (20, 60)], ids=["both", "height", "width"])
def test_sides_that_shrink_a_lot_are_averaged(file, rng, shape):
    pixels = rng.randint(0, 256, shape).astype(np.uint8)
    size = 20
    means = pixels.reshape(size, shape[0] // size, size, shape[1] // size).mean((1, 3))
    np.testing.assert_allclose(read_image(file(pixels), size=size)[..., 0], means, atol=0.5 + 1e-6)  # rounded once


@pytest.mark.parametrize("offset", range(10))
def test_a_thin_stroke_keeps_its_ink(file, offset):
    pixels = np.zeros((280, 280), np.uint8)
    pixels[:, 140 + offset] = 250
    assert (read_image(file(pixels), size=28)[:, 14, 0] == 25).all()


# ---------------------------------------------------------------- what cannot be read


def test_a_header_is_checked_before_the_pixels_are_unpacked(file, data_error):
    path = file(png([b""], 60_000, 8, 0, height=60_000))
    with data_error(path, "more than 178,956,970 pixels", "smaller"):
        read_image(path)


def test_an_image_needs_available_memory(file, data_error, monkeypatch, color):
    path = file(np.zeros((3000, 3000), np.uint8))
    monkeypatch.setattr("gluon_classics.data.memory.available_memory", lambda: 10**8)
    with data_error(path, "3,000x3,000", "0.1 GB"):
        read_image(path)


def test_memory_that_runs_out_while_decoding_is_one_line(file, data_error, monkeypatch, color):
    def fail(*_):
        raise MemoryError

    path = file(color)
    monkeypatch.setattr("gluon_classics.data.image_file.decode", fail)
    with data_error(path, "7x5", "memory"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tiff", "bmp", "jp2"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(file, data_error, rng, suffix, part):
    path = file(rng.randint(0, 256, (40, 50, 3)).astype(np.uint8), f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with data_error(path):
        read_image(path)


def test_an_empty_file_is_refused(file, data_error):
    path = file(b"")
    with data_error(path, "empty"):
        read_image(path)


def test_large_transparent_images_are_composited_in_parts(file, rng):
    pixels = rng.randint(0, 256, (700, 900, 4)).astype(np.uint8)
    np.testing.assert_array_equal(read_image(file(pixels)), over(pixels[..., :3], pixels[..., 3], WHITE))


def test_a_pipe_is_refused_without_waiting(tmp_path, data_error):
    os.mkfifo(tmp_path / "a.png")
    with data_error(tmp_path / "a.png", "regular"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    "wrong",
    [{"size": 2**31}, {"size": 0}, {"size": 10**5000}, {"size": 1.5}, {"channels": 10**19}, {"channels": 2}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_size_or_number_of_channels_out_of_range_is_an_error(wrong, tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "image.png")
    with pytest.raises(ValueError, match=r"^(the size|channels) is .{1,60}: use .{1,40}$"):
        read_image(tmp_path / "image.png", **wrong)


@pytest.mark.parametrize("path", [b"image.png", None, 3])
def test_what_is_not_a_path_is_an_error(path):
    with pytest.raises(TypeError, match="use a string or a Path"):
        read_image(path)


@pytest.mark.parametrize(("mode", "side"), [("1", 3000), ("L", 3000), ("RGB", 1500), ("RGBA", 1200)])
def test_the_pixels_of_a_png_file_must_fit_into_its_bytes(mode, side, tmp_path, data_error):
    """An image of zeros is as short as a PNG file can be."""
    path = tmp_path / "image.png"
    Image.new(mode, (side, side)).save(path, compress_level=9)
    assert read_image(path).shape[:2] == (side, side)
    content = path.read_bytes()
    size = struct.pack(">2I", 4 * side, 4 * side)
    header = b"IHDR" + size + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    with data_error(path, f"too short for {4 * side:,}x{4 * side:,} pixels"):
        read_image(path)


def test_a_png_chunk_that_claims_more_bytes_than_the_file_has_is_damage(tmp_path, data_error):
    """OpenCV would allocate 2.6 GB for it."""
    path = tmp_path / "image.png"
    Image.new("L", (6, 6)).save(path)
    content = path.read_bytes()
    path.write_bytes(content + b"more")  # viewers accept that
    assert not read_image(path).any()
    path.write_bytes(content[:33] + b"\x9b" + content[34:])
    with data_error(path, "damaged"):
        read_image(path)
