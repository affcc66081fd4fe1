"""A family whose cases do what no case may do, to test that it is noticed."""

import os
from pathlib import Path
import sys
import time

from fuzzing.case import Call, Case, Command
from gluon_classics.errors import DataError

TIME_LIMIT = 3


def crash(rng, place):
    return Case("ends the process", Call(os.abort))


def hang(rng, place):
    return Case("takes too long", Call(lambda: time.sleep(99)))


def traceback(rng, place):
    return Case("raises something else", Call(lambda: {}["x"]))


def two_lines(rng, place):
    def fail():
        raise ValueError("one\ntwo")  # a DataError would show an escape

    return Case("raises two lines", Call(fail))


def silent(rng, place):
    return Case("accepts what is wrong", Call(lambda: 1), wrong=True)


def other(rng, place):
    return Case("returns something else", Call(lambda: 1), check=lambda answer: f"{answer.value} instead of 2")


def refused(rng, place):
    def fail():
        raise DataError("this is refused")

    return Case("refuses what is right", Call(fail), wrong=False)


def left(rng, place):
    return Case("leaves a temporary file", Call((place.folder / ".run-12345678.json").touch))


def changed(rng, place):
    path = place.folder / "mine"
    path.write_text("mine")
    return Case("changes a file", Call(lambda: path.write_text("changed")), kept=(path,))


def memory(rng, place):
    return Case("takes memory", Call(lambda: len(bytearray(90 << 20))), memory=60 << 20)


def noise(rng, place):
    return Case("lets a library write", Call(lambda: os.write(2, b"libpng error: CRC\n")))


def escape(rng, place):
    return Case("writes an escape", Call(lambda: print("\x1b[31m", file=sys.stderr)))


def usage(rng, place):
    return Case("names no network", Command.of("summary", "nothing"))


def fine(rng, place):
    return Case("is right", Command.of("list", "--json"), wrong=False)


def broken(rng, place):
    Path(place.folder / "nothing").read_text()


KINDS = (
    *(crash, hang, traceback, two_lines, silent, other, refused, left, changed, memory, noise, escape, usage, fine),
    broken,
)
