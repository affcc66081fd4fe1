"""Data sets in CSV files as Kaggle has them: one image per line, with its label and its pixels row by row.

The label is the first column, or the one that the header names. With a header that names no label, there are no labels.
If all names of pixel columns end in numbers, such as pixel0 or 1x1 (row x column), their order is that of the numbers.
"""

from __future__ import annotations

from collections import defaultdict
import csv
from dataclasses import dataclass
import functools
import re
from typing import Iterator

from gluon_classics.errors import DataError
import numpy as np

from .conversion import square_side
from .found import TRAIN, Arrays, Contents, Found, parts_to_read, role_of, to_contents
from .memory import require_memory
from .storage import StoredFile

MAX_LINE = 1 << 20  # bytes of a line: 784 pixels take 3 kB
MIN_PIXELS = 16  # a table with fewer columns has something else than pixels
LABEL = ("label", "labels", "class", "target", "y")
NUMBER = ("id", "imageid", "image_id", "index", "")  # columns that only count the lines
_IGNORED = ("csv", "gz")
_BYTES = {str(value): value for value in range(256)}  # a look-up takes a third of the time of `int`


@dataclass(frozen=True)
class _Table:
    """The columns of a CSV file, from its first line.

    Attributes:
        header: Whether the first line is a header.
        columns: The number of columns.
        label: The place of the label's column; None if there is none.
        pixels: The places of the pixels' columns, row by row.
        delimiter: The character between the columns.
        repeated: The names of two pixel columns with the same number; None if there are none.
    """

    header: bool
    columns: int
    label: int | None
    pixels: tuple[int, ...]
    delimiter: str
    repeated: tuple[str, str] | None = None


def find_csv_files(files: list[StoredFile]) -> list[Found]:
    """Return the data sets in CSV files with pixels, complete or not."""
    sets: dict[tuple, dict] = defaultdict(lambda: defaultdict(list))
    for file in files:
        if file.pure.name.lower().endswith((".csv", ".csv.gz")):
            table = _table(file)
            if table:
                role = role_of(file.pure.name, _IGNORED)
                sets[file.pure.parent, role.rest][role.part or TRAIN].append((file, table))
    return [_found(folder, name, parts) for (folder, name), parts in sorted(sets.items())]


def _found(folder, name, parts):
    return Found(
        what=f"{name or 'the'} CSV files" + (f" in {folder}" if folder.name else ""),
        files=tuple(file for same in parts.values() for file, _ in same),
        missing=() if TRAIN in parts else (f"{name}_train.csv" if name else "train.csv",),
        names=tuple(part for part in (name, *reversed(folder.parts)) if part),
        read=functools.partial(_read, parts),
    )


def _read(parts) -> Contents:
    twice = [same for same in parts.values() if len(same) > 1]
    if twice:
        raise DataError(f"{twice[0][0][0]} and {twice[0][1][0]} have the same role: remove one of them")
    if parts[TRAIN][0][1].label is None:
        raise DataError(f"{parts[TRAIN][0][0]} has no column of labels: name it label")
    labeled = {part: same[0] for part, same in parts.items() if same[0][1].label is not None}
    unlabeled = [
        f"{same[0][0]} has no labels, so it is not used" for part, same in parts.items() if part not in labeled
    ]
    wanted, notes = parts_to_read(labeled)
    sorted_files = [_order_note(*labeled[part]) for part in wanted]
    return to_contents([_arrays(*labeled[part]) for part in wanted], [*unlabeled, *notes, *filter(None, sorted_files)])


def _order_note(file, table):
    """Return what users must know about the order of the columns, or None. Raises DataError if it is not clear."""
    if table.repeated:
        one, other = table.repeated
        raise DataError(f"{file} has the pixel columns {one} and {other}: give each column a different number")
    is_sorted = all(one < other for one, other in zip(table.pixels, table.pixels[1:]))
    return None if is_sorted else f"the pixel columns of {file} are put into the order of their numbers"


def _table(file) -> _Table | None:
    """Return the columns of a CSV file, or None if it does not contain square images of one channel."""
    with file.reading() as reader:
        line = reader.stream.readline(MAX_LINE)
    try:
        text = line.decode("utf-8-sig")
        delimiter = max(",;\t", key=text.count)
        fields = [field.strip() for field in next(csv.reader([text], delimiter=delimiter), [])]
    except (UnicodeDecodeError, csv.Error):
        return None
    header = not all(map(_is_number, fields))
    if header:
        words = [field.lower() for field in fields]
        labels = [place for place, word in enumerate(words) if word in LABEL]
        others = [place for place, word in enumerate(words) if word in NUMBER]
    else:
        labels, others = ([0] if square_side(len(fields) - 1) else []), []
    pixels = tuple(place for place in range(len(fields)) if place not in (*labels, *others))
    if len(labels) > 1 or len(pixels) < MIN_PIXELS or not square_side(len(pixels)):
        return None
    pixels, repeated = _in_order(pixels, fields) if header else (pixels, None)
    return _Table(header, len(fields), labels[0] if labels else None, pixels, delimiter, repeated)


def _in_order(places, names):
    """Return the places of pixel columns in the order of the numbers in their names, and two names with one number.

    The places are unchanged unless all names end in a number. If all have the same words between their numbers, as in
    1x1 and 1x2, all numbers of a name count, the first one first; else only the last.
    """
    if not all(re.search(r"[0-9]$", names[place]) for place in places):
        return places, None
    numbers = {place: re.findall(r"[0-9]+", names[place]) for place in places}
    if len({re.sub(r"[0-9]+", "0", names[place]) for place in places}) > 1:
        numbers = {place: found[-1:] for place, found in numbers.items()}
    keys = {place: list(map(_sort_key, found)) for place, found in numbers.items()}
    ordered = sorted(places, key=keys.__getitem__)
    twice = next(((names[a], names[b]) for a, b in zip(ordered, ordered[1:]) if keys[a] == keys[b]), None)
    return tuple(ordered), twice


def _sort_key(digits):
    """Return what sorts digits as their numbers. `int` refuses thousands of digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


def _is_number(text):
    return re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", text) is not None


def _arrays(file, table):
    require_memory(file.size, str(file))
    labels: list[float] = []
    rows: list[np.ndarray] = []
    is_bytes = table.pixels == tuple(range(table.pixels[0], table.pixels[-1] + 1))
    for number, fields in _lines(file, table):
        if len(fields) != table.columns:
            raise DataError(
                f"{file} has {len(fields):,} columns in line {number:,}, but {table.columns:,} in the first"
            )
        pixels = fields[table.pixels[0] : table.pixels[-1] + 1] if is_bytes else [fields[i] for i in table.pixels]
        try:
            labels.append(float(fields[table.label]))
            try:
                rows.append(np.frombuffer(bytes(map(_BYTES.__getitem__, pixels)), np.uint8))
            except KeyError:  # other forms of numbers, fractions, or values outside of 0..255
                rows.append(np.array(list(map(float, pixels))))
        except ValueError as error:
            raise DataError(f"{file} has something else than numbers in line {number:,}: save numbers only") from error
    if not rows:
        raise DataError(f"{file} has 0 images: its only line is a header")
    return Arrays(np.stack(rows), np.array(labels), str(file), str(file))


def _lines(file, table) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of each line with an image."""
    with file.reading() as reader:
        lines = csv.reader(_texts(file, reader.stream), delimiter=table.delimiter)
        try:
            for fields in lines:
                if fields and not (lines.line_num == 1 and table.header):
                    yield lines.line_num, fields
        except csv.Error as error:
            raise DataError(f"{file} is not a CSV file in line {lines.line_num:,} ({error}): save it again") from error


def _texts(file, stream):
    while True:
        line = stream.readline(MAX_LINE)
        if not line:
            return
        if len(line) == MAX_LINE:
            raise DataError(f"{file} has a line of more than {MAX_LINE:,} bytes: it is not a table of images")
        yield line.decode("utf-8-sig", "replace")
