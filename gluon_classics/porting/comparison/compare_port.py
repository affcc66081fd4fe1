"""The command of the file compare_port.py in a trace or suite: compare a port with a trace, with NumPy alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from .comparison import compare
from .suite import SUITE, Suite
from .tensor_file import PortError, brief, open_file

CONFORMS, DIVERGES, UNUSABLE = 0, 1, 2  # exit statuses
LONGEST = 300  # characters of an error; a path in it can have any length


def main(arguments, folder) -> int:
    """Compare a port with the trace in a folder, print the report, and return the exit status.

    Args:
        arguments: The arguments of the command line.
        folder: The folder of the trace, or of a suite.
    """
    is_suite = Path(folder, SUITE).is_file()
    parser = argparse.ArgumentParser(
        prog="compare_port.py",
        description="Show where a port of a network first differs from its reference trace in this folder, and why.",
        epilog="Exit status: 0 the port conforms, 1 it diverges, 2 its file cannot be used.",
    )
    if is_suite:
        parser.add_argument("name", help="the trace of the suite, such as resnet18_v1")
    parser.add_argument("port", help="what the port computes: a .npz or .safetensors file, with the keys of the trace")
    parser.add_argument("--map", metavar="FILE", help="JSON file with the trace's name of each of the port's names")
    parser.add_argument("--all", action="store_true", help="describe every divergence, not only the first one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if is_suite:
        try:
            folder = Suite.load(folder).path(options.name)
        except PortError as error:
            return _refused(error)
    return show_comparison(folder, options.port, options.map, options.all, options.json)


def show_comparison(trace, port, names=None, everything=False, as_json=False) -> int:
    """Compare a port with a trace, print the report, and return the exit status.

    Args:
        trace: The folder or .zip file of the trace.
        port: The .npz or .safetensors file of the port.
        names: A JSON file with the trace's name of each of the port's names that differ.
        everything: Whether to describe every divergence, not only the first one.
        as_json: Whether to print JSON.
    """
    try:
        report = compare(trace, port, _read_names(names) if names else None)
    except PortError as error:
        return _refused(error)
    _show(report.to_json() if as_json else report.text(everything), sys.stdout)
    return CONFORMS if report.conforms else DIVERGES


def _refused(error):
    _show(f"Error: {brief(error, LONGEST)}.", sys.stderr)
    return UNUSABLE


def _show(text, stream):
    """Print text in which control characters, and those that the stream cannot encode, are escaped.

    Names in files can hold any character.
    """
    encoding = stream.encoding or "utf-8"
    text = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def _read_names(path) -> dict:
    """Return the names in a JSON file, by the port's names. Raises PortError."""
    with open_file(path) as stream:
        content = stream.read()
    try:
        names = json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise PortError(f"{path} is not JSON: {brief(error)}. Write an object of texts") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise PortError(f"{path} is not a JSON object of texts. Write the trace's name of each of the port's names")
    return names


def _without_repeats(pairs):
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("it has the same name twice")
    return names
