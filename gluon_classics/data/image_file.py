"""One image file: its header, and its pixels as a viewer shows them.

Pillow reads the headers. OpenCV decodes plain 8-bit JPEG and PNG files, because it is faster, and Pillow decodes the
rest. Color profiles (ICC) and gamma values are not applied.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import functools
import io
from pathlib import Path
import stat

import cv2
from gluon_classics.errors import DataError
import numpy as np
from PIL import Image, ImageOps

from .memory import DEFLATE_RATIO, require_memory

# without formats that start other programs (EPS), that are recognized by chance (TGA) or that are no pictures (HDF5)
_FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"),
    *("JPEG2000", "AVIF", "ICO", "PCX", "QOI", "SGI", "SUN"),
)
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}
_GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
_REFUSED = {"F": "floating-point pixels", "I": "32-bit or signed pixels"}
_PALETTES = {"RGB": 3, "BGR": 3, "BGRX": 4}  # Pillow's names of palette layouts, and their bytes per color
_ORIENTATION = 274  # tag of EXIF and TIFF
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}  # by color type; the others have one
_PNG_GRAY = (0, 4)  # color types of PNG; Pillow calls 16-bit grayscale with alpha RGBA
# chunks of a PNG file that may contain an orientation, also after the pixels
_PNG_ORIENTATION = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
_JPEG_END = b"\xff\xd9"
NEARLY_BLACK = 16  # pixels below: the values of 12-bit cameras, 0..4095, as the upper byte of 16 bits


class UnreadableImage(DataError):
    """An image file that cannot be read.

    Attributes:
        reason: What is wrong with the file, without its name.
    """

    def __init__(self, path, reason: str, advice: str = "use a PNG or JPEG file") -> None:
        super().__init__(f"cannot read {path} ({reason})" + (f": {advice}" if advice else ""))
        self.reason = reason


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        path: The file; for an image in memory, its name for messages.
        format: Pillow's name of the file format.
        mode: Pillow's name of the kind of pixels.
        width: Width in pixels as stored, before the orientation is applied.
        height: Height in pixels as stored.
        bits: Bits per channel.
        is_color: Whether pixels have red, green and blue. A palette of grays alone is not color.
        is_transparent: Whether pixels can be transparent.
        is_turned: Whether EXIF data asks for another orientation.
        is_inverted: Whether 0 is white.
        has_more: Whether more images follow the first one: frames of an animation, or pages.
    """

    path: Path | str
    format: str
    mode: str
    width: int
    height: int
    bits: int
    is_color: bool
    is_transparent: bool
    is_turned: bool
    is_inverted: bool
    has_more: bool

    @property
    def decoding_memory(self) -> int:
        """Bytes that decoding uses at most: the pixels and their copies while they are turned, converted and mixed."""
        is_simple = self.format in ("JPEG", "PNG") and not (self.is_transparent or self.is_turned)
        return self.width * self.height * (12 if is_simple else 24)

    def channels(self, matte: tuple[int, int, int]) -> int:
        """Return 3 if the image is colored once `matte` shows through its transparent pixels, else 1."""
        return 3 if self.is_color or (self.is_transparent and len(set(matte)) > 1) else 1


@functools.lru_cache(maxsize=None)
def readable_formats() -> tuple[str, ...]:
    """Return Pillow's names of the file formats that can be read; AVIF depends on the version of Pillow."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@functools.lru_cache(maxsize=None)
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of files that can be read, in lower case and with the dot."""
    formats = (*readable_formats(), "MPO")  # JPEG files of cameras with more than one view
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def read_header(path) -> ImageHeader:
    """Read the header of an image file without unpacking its pixels.

    Raises:
        UnreadableImage: The file is missing, empty, not an image, or an image of a kind that cannot be shown.
    """
    path = Path(path)
    with _header_errors(path):
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableImage(path, "a directory", "give a file")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe could wait forever
            raise UnreadableImage(path, "not a regular file")
        with path.open("rb") as file:
            return _header_in(file, status.st_size, path)


def header_of(content: bytes, name) -> ImageHeader:
    """Read the header of an image file that is in memory.

    Args:
        content: The bytes of the file.
        name: What it is called in messages.

    Raises:
        UnreadableImage: It is empty, not an image, or an image of a kind that cannot be shown.
    """
    with _header_errors(name):
        return _header_in(io.BytesIO(content), len(content), name)


def read_pixels(header: ImageHeader, matte: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """Read the pixels of an image file: the first image if it contains several.

    Args:
        header: The header of the file.
        matte: Color that shows through transparent pixels: red, green and blue, 0..255.

    Returns:
        (H, W, C) uint8, with `header.channels(matte)` channels.

    Raises:
        DataError: The file is damaged, or its pixels do not fit into memory.
    """
    path = Path(header.path)
    with _pixel_errors(header):
        _require_memory(header, path.stat().st_size)
        return decode(path.read_bytes(), header, matte)


def pixels_of(content: bytes, header: ImageHeader, matte: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """Return the pixels of an image file that is in memory; see `read_pixels`."""
    with _pixel_errors(header):
        _require_memory(header, 0)
        return decode(content, header, matte)


@contextlib.contextmanager
def _header_errors(name):
    try:
        yield
    except UnreadableImage:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(name, "not an image or of an unknown kind") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableImage(name, f"more than {most:,} pixels", "make it smaller") from error
    except MemoryError as error:
        raise UnreadableImage(name, "header does not fit into memory") from error
    except Exception as error:  # what a damaged header raises depends on the format
        raise _unreadable(name, error, "not an image or damaged") from error


@contextlib.contextmanager
def _pixel_errors(header):
    try:
        yield
    except MemoryError as error:
        needed = header.decoding_memory / 1e9
        raise DataError(f"{_what(header)} does not fit into memory ({needed:.1f} GB)") from error
    except DataError:
        raise
    except Exception as error:  # what damaged content raises depends on the format
        raise _unreadable(header.path, error, "damaged", "get it again, or leave it out") from error


def _require_memory(header, size):
    require_memory(size + header.decoding_memory, _what(header))


def _what(header):
    return f"the image {header.path} of {header.width:,}x{header.height:,} pixels"


def _header_in(file, size, name):
    if not size:
        raise UnreadableImage(name, "empty")
    with Image.open(file, formats=readable_formats()) as image:
        return _header(name, size, file, image)


def decode(content: bytes, header: ImageHeader, matte: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """Decode the content of an image file; see `read_pixels`. What damaged content raises depends on the format."""
    if is_plain(content, header):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise ValueError("OpenCV cannot decode it")
        if header.is_color:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    else:
        pixels = _decode_with_pillow(content, header, np.array(matte, np.uint16))
    return pixels.reshape(*pixels.shape[:2], -1)[..., : header.channels(matte)]


def _unreadable(path, error, *otherwise):
    """Return the error for users of what reading a file raised: the system's reason, or `otherwise`."""
    if isinstance(error, OSError) and error.strerror:
        return UnreadableImage(path, error.strerror.lower(), "")
    return UnreadableImage(path, *otherwise)


def _header(name, size, file, image):
    tags = image.tag_v2 if image.format == "TIFF" else {}
    has_more = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: views of a camera's one picture
    # PngImageFile.getexif would unpack the pixels
    turned = Image.Image.getexif(image).get(_ORIENTATION, 1) in range(2, 9)
    bits = 16 if image.mode.startswith("I") else 8
    is_color = image.mode not in _GRAY
    if image.mode in ("P", "PA"):
        is_color = not _has_gray_palette(image)
    if image.format == "PNG":
        file.seek(24)
        bits, kind = file.read(2)
        row = 1 + image.width * bits * _PNG_CHANNELS.get(kind, 1) // 8  # bytes
        if row * image.height > DEFLATE_RATIO * size:
            raise UnreadableImage(name, f"too short for {image.width:,}x{image.height:,} pixels", "get it again")
        is_color = is_color and kind not in _PNG_GRAY
    elif tags:
        bits = tags.get(_BITS, (1,))[0]
    wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    signed = any(kind != 1 for kind in tags.get(_SAMPLE_FORMAT, (1,)))
    if signed or not (wide or image.mode in _MODES):
        reason = _REFUSED.get(image.mode, "signed pixels" if signed else f"{image.mode} pixels")
        raise UnreadableImage(name, reason, "save it with 8 bits per channel")
    return ImageHeader(
        path=name,
        format=image.format,
        mode=image.mode,
        width=image.width,
        height=image.height,
        bits=bits,
        is_color=is_color,
        is_transparent=image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info,
        is_turned=turned,
        is_inverted=wide and tags.get(_PHOTOMETRIC) == 0,
        has_more=has_more,
    )


def _has_gray_palette(image):
    layout, content = image.palette.getdata()
    colors = np.frombuffer(content, np.uint8)
    if layout == "RGB;L":  # first all reds, then all greens, then all blues
        colors = colors.reshape(3, -1).T
    elif layout in _PALETTES:
        colors = colors.reshape(-1, _PALETTES[layout])[:, :3]
    else:
        return False
    return (colors == colors[:, :1]).all()


def is_plain(content, header):
    """Return whether OpenCV decodes the content of an image file to the pixels that a viewer shows."""
    if header.mode not in ("L", "RGB") or header.bits != 8:
        return False
    if header.is_transparent or header.is_turned or header.has_more:
        return False
    if header.format == "PNG":
        _check_chunks(content)
        return not any(name in content for name in _PNG_ORIENTATION)
    # older versions of OpenCV fill the rest of a truncated JPEG with gray
    return header.format in ("JPEG", "MPO") and content.endswith(_JPEG_END)


def _check_chunks(content):
    """Check that the chunks of a PNG file end within it: OpenCV allocates the length that a chunk claims."""
    position, name = 8, b""
    while position < len(content) and name != b"IEND":  # other data may follow
        name = content[position + 4 : position + 8]
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    if position > len(content):
        raise ValueError("a chunk is longer than the file")


def _decode_with_pillow(content, header, matte):
    """Return (H, W) or (H, W, C) uint8, with as many or more channels than wanted."""
    with Image.open(io.BytesIO(content), formats=readable_formats()) as opened:
        opened.load()
        key = opened.info.get("transparency")
        if header.format == "PNG" and key is not None:
            _apply_key(opened, content, header, key)
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        gray = ((2**header.bits - 1 - wide if header.is_inverted else wide) >> (header.bits - 8)).astype(np.uint8)
        return gray if key is None else _composite(np.stack([gray] * 3 + [(wide != key) * np.uint8(255)], 2), matte)
    if header.is_transparent:
        return _composite(np.asarray(image if image.mode == "RGBA" else image.convert("RGBA")), matte)
    return np.asarray(image.convert("RGB") if header.is_color or image.mode == "P" else image.convert("L"))


def _apply_key(image, content, header, key):
    """Make the key color of a PNG file fit the pixels, which Pillow scaled to 8 bits without the key."""
    if image.mode == "L" and header.bits < 8:
        image.info["transparency"] = key * (255 // (2**header.bits - 1))
    elif image.mode == "RGB" and header.bits == 16:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        wide = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        del image.info["transparency"]
        image.putalpha(Image.fromarray((wide != key[::-1]).any(2) * np.uint8(255)))  # blue, green, red


def _composite(pixels, matte):
    """Return (H, W, 3): red, green, blue and alpha over the color `matte`."""
    height, width, _ = pixels.shape
    mixed = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, rows := 2**18 // width + 1):  # not at once, since 16 bits need much memory
        part = pixels[start : start + rows]
        alpha = part[..., 3:].astype(np.uint16)
        mixed[start : start + rows] = (part[..., :3] * alpha + matte * (255 - alpha) + 127) // 255
    return mixed
