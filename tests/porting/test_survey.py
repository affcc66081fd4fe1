"""The published survey of GluonCV's models is complete, and docs/porting.md says what it found."""

import math
from pathlib import Path
import re

import pytest
import survey_gluoncv

CHECKOUT = Path(__file__).parents[2]

MODELS = survey_gluoncv.read()["models"]


def result(**changes):
    passed = dict.fromkeys(survey_gluoncv.STEPS, True)
    return {**passed, "trace_distance": 0.0, "onnx_distance": 1e-7, "limit": 1e-5, **changes}


def test_the_guide_says_what_the_survey_found():
    text = survey_gluoncv.PAGE.read_text(encoding="utf-8")
    assert survey_gluoncv.with_table(text) == text, "run python tools/survey_gluoncv.py --write"


def test_the_survey_has_the_classifiers_of_gluoncv_and_no_other_models():
    assert len(MODELS) > 180
    assert {"resnet50_v1", "cifar_resnet20_v1", "senet_154", "nasnet_4_1056", "i3d_resnet50_v1_kinetics400"} <= set(
        MODELS
    )
    assert not [name for name in MODELS if survey_gluoncv.OTHER_TASKS.search(name)]


@pytest.mark.parametrize("step", survey_gluoncv.STEPS)
def test_what_passed_was_measured(step):
    distance = {"described": "operations", "traced": "trace_distance", "exported": "onnx_distance"}[step]
    for name, row in MODELS.items():
        assert isinstance(row[step], bool), name
        if row[step]:
            assert row["described"], name
            assert row["input"][0] == 3, name
            assert math.isfinite(row[distance]), name


def test_what_failed_has_a_reason_without_addresses_and_paths():
    for name, row in MODELS.items():
        if not all(row[step] for step in survey_gluoncv.STEPS):
            assert len(survey_gluoncv.reason(row)) > 10, name
            assert not re.search(r"/|https?:|\.com\b|\bport=", survey_gluoncv.reason(row)), name


def test_the_table_counts_each_step_and_groups_what_fails():
    failed = dict.fromkeys(survey_gluoncv.STEPS, False)
    models = {
        "a": result(built="by class"),
        "b": result(exported=False, onnx_distance=1e-3, rounding=2e-3),
        "c": {**failed, "missing": ["sort"]},
        "d": {**failed, "missing": ["sort"]},
    }
    text = survey_gluoncv.table({"gluoncv": "1.0", "models": models})
    assert "| the 4 classifiers of GluonCV 1.0 |" in text
    assert "| described, every operator | 2 | |" in text
    assert "| traced | 2 | 0.0e+00 |" in text
    assert "| exported to ONNX, verified by onnxruntime | 1 | 1.0e-07 |" in text
    assert "| `b` | the error 1.0e-03 exceeds the limit 1.0e-05; " in text
    assert "differs by 2.0e-03 from that in float64 |" in text
    assert "| `c`, `d` | lacks the operators sort |" in text
