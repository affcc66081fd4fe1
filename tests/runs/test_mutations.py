"""Whatever is changed in a file of a run, reading it ends in one line or in possible values, and never in between."""

import copy
import json
import os
import random

from gluon_classics.errors import RunError
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.parameter_files import load_parameters
from gluon_classics.runs.checkpoint import Damaged, checkpoints, read_checkpoint, write_checkpoint
from gluon_classics.runs.checkpoint_facts import read_training
from gluon_classics.runs.record import RunRecord, read_run
from gluon_classics.runs.state import capture_trainer, restore
import mxnet as mx
import numpy as np
import pytest

VALUES = (
    *(None, True, -1, 0, 2, -0.5, 0.25, 1e308, -1e308, 2**31, 2**63, 2**64, 10**400),
    *("", "x", "\0\x1b[2J", "\u202e", "x" * 10_000, [], {}, [[1, 2]], {"array": "none"}, {"dict": [[1]]}, {"tuple": 3}),
)
RAW = (b"", b"\0", b"\xff", b"{", b"]", b",", b"9", b"-", b"NaN", b"1e999", b"\\ud800", b"[" * 100_000)


def places(value, path=()):
    """Yield the paths of all values in a tree of lists and objects."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def with_a_change(tree, chance):
    """Return a copy of a tree with one value replaced, removed, or repeated."""
    tree = copy.deepcopy(tree)
    *path, key = chance.choice(list(places(tree)))
    parent = tree
    for step in path:
        parent = parent[step]
    way = chance.randrange(6)
    if way == 0:
        del parent[key]
    elif way == 1 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif way == 2 and isinstance(parent[key], (int, float)):
        parent[key] = -parent[key] + chance.choice((-1, 0, 1, 0.5))
    else:
        parent[key] = copy.deepcopy(chance.choice(VALUES))
    return tree


def with_changed_bytes(content, chance):
    """Return bytes with a flipped bit, a cut, or an insertion; often near the beginning or the end."""
    near = chance.randrange(64)
    place = chance.choice((chance.randrange(len(content)), near, len(content) - 1 - near))
    way = chance.randrange(4)
    if way == 0:
        return content[:place]
    if way == 1:
        return content[:place] + chance.choice(RAW) + content[place:]
    if way == 2:
        return content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :]
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def is_refused(read, *arguments):
    """Return whether reading is refused; the error must be one line of a bearable length."""
    message = None
    try:
        read(*arguments)
    except RunError as error:
        message = str(error)
    assert message is None or (message.strip() and "\n" not in message and len(message) < 1000)
    return message is not None


@pytest.fixture(scope="module")
def experiment(trained_run, small_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MXNET_HOME", str(small_home))
        return prepare(read_run(trained_run).record.settings, [mx.cpu()])


def test_a_changed_record_or_a_changed_file_of_points_is_refused_or_possible(trained_run, tmp_path, capsys):
    texts = {name: (trained_run / name).read_bytes() for name in ("run.json", "points.json")}
    kept = 0
    for seed in range(240):
        chance = random.Random(seed)
        for name, text in texts.items():
            (tmp_path / name).write_bytes(text)
        name = chance.choice(("run.json", "run.json", "points.json"))
        changed = with_changed_bytes(texts[name], chance)
        if chance.random() < 0.7:
            changed = json.dumps(with_a_change(json.loads(texts[name]), chance)).encode()
        (tmp_path / name).write_bytes(changed)
        if not is_refused(read_run, tmp_path):
            record = read_run(tmp_path).record
            assert RunRecord.from_json(record.to_json()).to_json() == record.to_json(), f"seed {seed}"
            json.dumps([epoch.curve for epoch in record.epochs], allow_nan=False)
            kept += 1
    assert 10 < kept < 200, "the changes test both outcomes"


def test_an_impossible_checkpoint_with_a_valid_checksum_changes_nothing(trained_run, experiment, tmp_path):
    facts, arrays = read_checkpoint(checkpoints(trained_run)[0])
    restore(experiment, *read_training(checkpoints(trained_run)[0]))
    facts = json.loads(json.dumps(facts))

    def state():
        content, values = capture_trainer(experiment.net, experiment.trainer)
        return repr(content), {name: value.asnumpy().tobytes() for name, value in values.items()}

    before, done = state(), 0
    for seed in range(60):
        chance = random.Random(seed)
        new_facts, new_arrays = facts, dict(arrays)
        if chance.random() < 0.7:
            new_facts = with_a_change(facts, chance)
        else:
            name = chance.choice(list(arrays))
            array = new_arrays.pop(name)
            others = (array[:1], array.astype(np.float64), array.astype("S4"), array * np.nan, array[None], None)
            other = chance.choice(others)
            new_arrays.update({} if other is None else {name: other})
        write_checkpoint(tmp_path / "changed.ckpt", new_facts, new_arrays)
        if is_refused(lambda: restore(experiment, *read_training(tmp_path / "changed.ckpt"))):
            assert state() == before, f"seed {seed}"
            done += 1
        else:
            restore(experiment, *read_training(checkpoints(trained_run)[0]))
    assert done > 30


IMPOSSIBLE = {
    "an epoch before the first": lambda facts: facts.update(epoch=-1),
    "another epoch than that of its metrics": lambda facts: facts.update(epoch=3),
    "an accuracy of 350 %": lambda facts: facts["epochs"][0].update(test_accuracy=3.5),
    "negative seconds": lambda facts: facts.update(seconds=-1.0),
    "metrics that are not the sum": lambda facts: facts["metrics"].update(loss=1.0),
    "no state": lambda facts: facts.update(state={}),
    "a negative learning rate": lambda facts: attributes(facts).update(lr=-1),
    "an infinite learning rate": lambda facts: attributes(facts).update(lr=float("inf")),
    "another weight decay": lambda facts: attributes(facts).update(wd=0.5),
    "a negative number of updates": lambda facts: attributes(facts).update(num_update=-4),
    "another attribute": lambda facts: facts["state"]["optimizer"]["dict"].append(["more", 1]),
    "an array that is not there": lambda facts: facts["state"]["states"][0]["dict"].append([0, {"array": "none"}]),
    "a state where the optimizer has none": lambda facts: facts["state"]["states"][0]["dict"][0].__setitem__(1, 3.5),
}


def attributes(facts):
    """Replace the pairs of the optimizer's attributes by what looks like a dict, and return it."""

    class Pairs:
        def update(self, **values):
            pairs = facts["state"]["optimizer"]["dict"]
            pairs[:] = [[name, values.get(name, value)] for name, value in pairs]

    return Pairs()


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_checkpoint_that_no_training_can_write_counts_as_damaged(name, trained_run, experiment, tmp_path):
    facts, arrays = read_checkpoint(checkpoints(trained_run)[0])
    facts = json.loads(json.dumps(facts))
    IMPOSSIBLE[name](facts)
    write_checkpoint(tmp_path / "changed.ckpt", facts, arrays)
    with pytest.raises(Damaged):
        restore(experiment, *read_training(tmp_path / "changed.ckpt"))


def test_a_changed_parameter_file_is_refused_or_has_finite_weights(trained_run, experiment, tmp_path):
    content = (trained_run / "net.params").read_bytes()
    path, kept = tmp_path / "net.params", 0
    for seed in range(100):
        path.write_bytes(with_changed_bytes(content, random.Random(seed)))
        if not is_refused(load_parameters, experiment.net, path, [mx.cpu()], (1, 28, 28)):
            kept += 1
            values = [parameter.data().asnumpy() for parameter in experiment.net.collect_params().values()]
            assert all(np.isfinite(value).all() for value in values), f"seed {seed}"
    assert 5 < kept < 60


def test_a_pipe_or_an_endless_device_instead_of_a_file_is_refused_at_once(trained_run, tmp_path):
    record = (trained_run / "run.json").read_bytes()
    for make in (os.mkfifo, lambda path: os.symlink("/dev/zero", path)):
        for name, words in (
            ("run.json", "not a regular file"),
            ("x.ckpt", "not a regular file"),
            ("points.json", None),
        ):
            folder = tmp_path / f"{name} {make.__name__}"
            folder.mkdir()
            (folder / "run.json").write_bytes(record)
            (folder / name).unlink(missing_ok=True)
            make(folder / name)
            if words is None:
                assert all(epoch.curve == () for epoch in read_run(folder).record.epochs)
                continue
            with pytest.raises(RunError, match=words):
                read_training(folder / name) if name == "x.ckpt" else read_run(folder)
