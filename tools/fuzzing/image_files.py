"""Image files in every mode and format, right and damaged, held against Pillow."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np

from .case import Call, Case, Command
from .mutations import cut, mutate_bytes

CASES = 520
EXACT = 1  # 16-bit values and transparency are rounded once
LOSSY = 3  # two roundings of the colours, and one of the inverse transform
BACKGROUNDS = (0, 255)
# formats by suffix: the modes that they take, and whether pixels are kept exactly
FORMATS = {
    "png": (("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), True),
    "jpg": (("L", "RGB", "CMYK"), False),
    "bmp": (("1", "L", "P", "RGB", "RGBA"), True),
    "tif": (("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"), True),
    "gif": (("L", "P", "RGB", "RGBA"), True),
    "webp": (("RGB", "RGBA"), False),
    "ppm": (("L", "RGB"), True),
    "jp2": (("L", "RGB", "RGBA"), False),
}
PNG_KINDS = ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16)))
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


# --- the oracle


def shown(content: bytes) -> list[np.ndarray] | None:
    """Return what a viewer shows, as (H, W, 3), over each background; None if Pillow cannot read it."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                return [_flat(ImageOps.exif_transpose(image), background) for background in BACKGROUNDS]
        except Exception:  # Pillow's readers raise a dozen types
            return None


def _flat(image, background):
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError("a viewer has no rule for these")
    if image.mode.startswith("I;16"):
        pixels = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(pixels[..., None], 3, axis=2)
    if "transparency" in image.info or image.mode in ("LA", "RGBA", "PA"):
        image = image.convert("RGBA")
        under = Image.new("RGBA", image.size, (background,) * 3 + (255,))
        image = Image.alpha_composite(under, image)
    return np.asarray(image.convert("RGB"))


def difference(answer, *allowed, limit) -> str | None:
    """Return how an image that was read differs from all of those allowed, or None."""
    image = _array(answer.value)
    three = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    same_shape = [other for other in allowed if other.shape == three.shape]
    if not same_shape:
        return f"{image.shape} instead of {allowed[0].shape}" if allowed else "damaged, but read"
    least = min(int(np.abs(three.astype(int) - other).max()) for other in same_shape)
    if least <= limit or answer.said.strip():  # a difference may be said
        return None
    return f"pixels differ by {least}, at most {limit} is rounding"


def _array(value):
    return value if isinstance(value, np.ndarray) else value.pixels


# --- making files


def _pixels(rng, mode, size):
    generator = np.random.RandomState(rng.getrandbits(32))
    width, height = size
    smooth = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode, 1)
    noise = generator.randint(16, size=(height, width, channels))
    pixels = (smooth[..., None] + noise).astype(np.uint8)
    if mode in ("LA", "RGBA"):
        pixels[..., -1] = generator.choice((0, 128, 255), size=(height, width))
    return pixels


def _image(rng, mode, size=None):
    from PIL import Image

    size = size or (rng.randint(1, 40), rng.randint(1, 40))
    pixels = _pixels(rng, mode, size)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * rng.choice((1, 16, 257)))
    if mode in ("I", "F"):
        return Image.fromarray(pixels[..., 0].astype(np.int32 if mode == "I" else np.float32))
    if mode in ("1", "P"):
        image = Image.fromarray(pixels[..., 0]).convert(mode)
        if mode == "P" and rng.random() < 0.5:
            image.info["transparency"] = rng.choice((0, bytes(rng.choice((0, 100, 255)) for _ in range(256))))
        return image
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode=mode)


def _saved(rng, suffix, mode, **options):
    image = _image(rng, mode)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if suffix == "png" and "transparency" in image.info:
            options["transparency"] = image.info["transparency"]
        image.save(stream, {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(suffix, suffix.upper()), **options)
    return stream.getvalue()


def _any_file(rng):
    """Return a right file: its suffix, its mode and its content."""
    suffix = rng.choice(list(FORMATS))
    mode = rng.choice(FORMATS[suffix][0])
    try:
        return suffix, mode, _saved(rng, suffix, mode)
    except (KeyError, OSError, ValueError):  # this version of Pillow does not write this mode
        return "png", "RGB", _saved(rng, "png", "RGB")


def _limit(suffix):
    return EXACT if FORMATS[suffix][1] else LOSSY


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(color: int, depth: int, size, rows: bytes, *chunks: bytes) -> bytes:
    """Return a PNG file with these raw rows, each after its filter byte."""
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), *chunks, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    )


def _read(path):
    from gluon_classics.data.images import read_image

    return Call(lambda: read_image(path))


def _case(what, content, place, suffix, wrong=None, allowed=None, limit=EXACT):
    path = place.folder / f"image.{suffix}"
    path.write_bytes(content)
    expected = [*(shown(content) or []), *(allowed or [])]
    return Case(what, _read(path), wrong, lambda answer: difference(answer, *expected, limit=limit), (path,))


# --- the kinds


def right(rng, place):
    suffix, mode, content = _any_file(rng)
    must = suffix in ("png", "jpg") and mode in ("1", "L", "P", "RGB", "RGBA", "LA")
    return _case(f"{suffix} in mode {mode}", content, place, suffix, False if must else None, limit=_limit(suffix))


def oriented(rng, place):
    from PIL import Image

    orientation = rng.randint(1, 8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    suffix = rng.choice(("png", "jpg", "tif", "webp"))
    content = _saved(rng, suffix, "RGB", exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    return _case(f"{suffix} with orientation {orientation}", content, place, suffix, limit=_limit(suffix))


def transparent(rng, place):
    """Three files that look alike, but have other hidden colours."""
    from PIL import Image

    suffix = rng.choice(("png", "webp", "tif", "gif"))
    image = np.array(_image(rng, "RGBA"))
    image[image[..., 3] == 0, :3] = rng.choice((0, 128, 255))
    stream = io.BytesIO()
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.fromarray(image).save(stream, {"tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    return _case(f"{suffix} with hidden colours", stream.getvalue(), place, suffix)


def every_png(rng, place):
    color, depths = rng.choice(PNG_KINDS)
    depth = rng.choice(depths)
    width, height = rng.randint(1, 20), rng.randint(1, 20)
    length = -(-width * SAMPLES[color] * depth // 8)
    rows = b"".join(b"\0" + bytes(rng.randrange(256) for _ in range(length)) for _ in range(height))
    chunks = []
    if color == 3:
        chunks.append(_chunk(b"PLTE", bytes(rng.randrange(256) for _ in range(3 << depth))))
    if color in (0, 2, 3) and rng.random() < 0.5:
        transparent = {0: 2, 2: 6, 3: rng.randint(1, 1 << depth)}[color]
        # the first pixel's value, so that some pixels have it
        value = bytes(transparent - 1) + b"\1" if color != 3 else bytes(rng.randrange(256) for _ in range(transparent))
        chunks.append(_chunk(b"tRNS", value))
    content = png(color, depth, (width, height), rows, *chunks)
    return _case(f"PNG of colour type {color}, {depth} bits, {len(chunks)} chunks", content, place, "png")


def animated(rng, place):
    frames = [_image(rng, "RGB", (12, 9)) for _ in range(rng.randint(2, 4))]
    suffix = rng.choice(("gif", "png", "webp", "tif"))
    stream = io.BytesIO()
    kind = {"tif": "TIFF"}.get(suffix, suffix.upper())
    frames[0].save(
        stream, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if suffix == "webp" else {})
    )
    content = stream.getvalue()

    def check(answer):
        if not answer.said.strip():
            return f"one of {len(frames)} frames was read, and nothing says so"
        return None

    path = place.folder / f"image.{suffix}"
    path.write_bytes(content)
    return Case(f"{suffix} of {len(frames)} frames", _read(path), None, check, (path,))


def thin_strokes(rng, place):
    from gluon_classics.data.images import read_image
    from PIL import Image

    side = rng.randint(300, 900)
    pixels = np.zeros((side, side), np.uint8)
    for _ in range(rng.randint(1, 3)):
        line = rng.randrange(side)
        pixels[line if rng.random() < 0.5 else slice(None), slice(None)] = 0
        pixels[line] = 255
    path = place.folder / "image.png"
    Image.fromarray(pixels).save(path)
    share = pixels.mean()

    def check(answer):
        mean = _array(answer.value).mean()
        # each pixel of an average is rounded once
        return None if abs(mean - share) <= 0.5 or answer.said.strip() else f"mean {share:.2f} became {mean:.2f}"

    return Case(f"lines of one pixel in {side}x{side}", Call(lambda: read_image(path, 28)), False, check, (path,))


def huge_claims(rng, place):
    side = rng.choice((20_000, 46_341, 60_000, 65_536, 2**31 - 1))
    width, height = rng.choice(((side, side), (side, 1), (1, side)))
    kind = rng.choice(("png", "bmp", "gif", "pgm", "tif"))
    rows = bytes(rng.randint(0, 5000))
    if kind == "png":
        content = png(rng.choice((0, 2, 6)), 8, (width, height), rows)
    elif kind == "bmp":
        content = b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + rows
    elif kind == "gif":
        small = (min(width, 65_535), min(height, 65_535))
        content = b"GIF89a" + struct.pack("<HHBBB", *small, 0x80, 0, 0) + bytes(6) + b"\x2c"
        content += struct.pack("<HHHHB", 0, 0, *small, 0) + b"\x02\x02\x4c\x01\0;"
    elif kind == "pgm":
        content = f"P5\n{width} {height}\n255\n".encode() + rows
    else:
        tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 99))
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        content = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4) + rows
    path = place.folder / f"image.{kind}"
    path.write_bytes(content)
    return Case(f"{kind} that claims {width}x{height}", _read(path), True)


def _damaged(rng, place, how, what):
    suffix, mode, content = _any_file(rng)
    changed = how(content)
    # damage that changes no pixel is allowed, such as in a comment
    return _case(
        f"{suffix} in mode {mode}, {what}", changed, place, suffix, allowed=shown(content), limit=_limit(suffix)
    )


def changed_bytes(rng, place):
    return _damaged(rng, place, lambda content: mutate_bytes(content, rng), "bytes changed")


def changed_header(rng, place):
    return _damaged(rng, place, lambda content: mutate_bytes(content, rng, 0, 64), "bytes of the header changed")


def truncated(rng, place):
    return _damaged(rng, place, lambda content: cut(content, rng), "truncated")


def no_image(rng, place):
    content = rng.choice((b"", b"\0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"GIF89a", b"\x89PNG"))
    content += rng.getrandbits(800).to_bytes(100, "little") if rng.random() < 0.5 else b""
    path = place.folder / f"image.{rng.choice(list(FORMATS))}"
    path.write_bytes(content)
    return Case(f"{content[:8]!r} as {path.name}", _read(path), True)


def odd_path(rng, place):
    name = rng.choice(("", "nothing.png", "a\0b.png", "x" * 300 + ".png", "\udcff.png", "a\nb.png", "\x1b[31m.png"))
    path = str(place.folder / name)
    act = _read(path)
    if ("\0" not in name and rng.random() < 0.6) or "\n" in name:
        act = Command.of("predict", place.world / "whole", path)
    return Case(f"the path {name[:20]!r}", act, True)


def predicted(rng, place):
    files = []
    for number in range(3):
        suffix, _, content = _any_file(rng)
        files.append(place.folder / f"{number}.{suffix}")
        files[-1].write_bytes(content if rng.random() < 0.4 else mutate_bytes(content, rng))
    command = Command.of("predict", place.world / "whole", *files, "--json")
    return Case("predict on three files, some damaged", command, kept=tuple(files))


KINDS = (
    *(right, oriented, transparent, every_png, animated, thin_strokes, huge_claims, changed_bytes, changed_header),
    *(truncated, no_image, odd_path, predicted, right, changed_bytes, changed_header, truncated, right, every_png),
)
