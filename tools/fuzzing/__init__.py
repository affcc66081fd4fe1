"""Seeded fuzzing of the package, by family of input; see docs/reliability.md.

A family is a module with KINDS, functions that make a `Case` from a random generator and a `Place`, and CASES, the
default number of cases. Case number n is of kind n modulo the number of kinds, so that no kind depends on chance.
"""

from __future__ import annotations

FAMILIES = (
    "idx_files",
    "image_files",
    "image_folders",
    "data_folders",
    "records",
    "checkpoints",
    "parameter_files",
    "options",
    "api",
    "environment",
    "faults",
)
