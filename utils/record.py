"""The record of a run (run.json): what has to be in it, and of which kind."""

from __future__ import annotations

import math

NUMBER = (int, float)
MAYBE_TEXT = (str, type(None))
EPOCH = {
    "epoch": int,
    "train_loss": NUMBER,
    "train_accuracy": NUMBER,
    "test_accuracy": NUMBER,
    "seconds": NUMBER,
    "images_per_second": NUMBER,
}
RECORD = {
    "recipe": MAYBE_TEXT,
    "settings": {"model": str, "data": str, "epochs": int, "batch_size": int, "learning_rate": NUMBER, "seed": int},
    "data": {
        "name": str,
        "is_sample": bool,
        "is_published": (bool, type(None)),
        "train_images": int,
        "image_shape": [int],
        "classes": [str],
        "sha256": str,
    },
    "parameters": int,
    "tested_images": int,
    "environment": {
        "commit": MAYBE_TEXT,
        "dirty": (bool, type(None)),
        "processor": str,
        "threads": MAYBE_TEXT,
        "devices": [str],
    },
    "started": str,
    "status": str,
    "seconds": NUMBER,
    "epochs": [EPOCH],
}
RESUMPTION = {"changed": dict}


def check_record(record) -> None:
    """Raises ValueError, naming the first thing that is missing or of another kind, unless `record` is a whole one."""
    _check(record, RECORD, "the record")
    _check(record.get("resumed", []), [RESUMPTION], "resumed")
    if [epoch["epoch"] for epoch in record["epochs"]] != list(range(len(record["epochs"]))):
        raise ValueError("its epochs do not count from 0")


def _check(value, wanted, name):
    if isinstance(wanted, dict):
        _expect(isinstance(value, dict), name)
        for key, kind in wanted.items():
            if key not in value:
                raise ValueError(f"{key} is missing")
            _check(value[key], kind, key)
    elif isinstance(wanted, list):
        _expect(isinstance(value, list), name)
        for entry in value:
            _check(entry, wanted[0], name)
    else:
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        _expect(isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)), name)
        _expect(not isinstance(value, float) or math.isfinite(value), name)


def _expect(right, name):
    if not right:
        raise ValueError(f"{name} is of the wrong kind")
