"""Environment variables with nonsense, small limits, and users without a home, each in its own process."""

from __future__ import annotations

import os
import resource

from . import processes, runs
from .case import Case, Process

CASES = 48
TIME_LIMIT = processes.LIMIT + 20
NONSENSE = ("", "x", "-1", "0", "1,2", "9" * 30, "1.5", "²", " 2 ", "2147483648", "true", "\udcff", "/dev/null")
THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_THREAD_LIMIT", "OMP_STACKSIZE", "OMP_DYNAMIC")
MXNET = (
    *("MXNET_CPU_WORKER_NTHREADS", "MXNET_CPU_PRIORITY_NTHREADS", "MXNET_ENGINE_TYPE", "MXNET_EXEC_BULK_EXEC_TRAIN"),
    *("MXNET_SUBGRAPH_BACKEND", "MXNET_CPU_TEMP_COPY", "MXNET_OPTIMIZER_AGGREGATION_SIZE", "MXNET_ENFORCE_DETERMINISM"),
    *("MXNET_MP_WORKER_NTHREADS", "MXNET_USE_MKLDNN", "MXNET_CPU_NNPACK_NTHREADS", "MXNET_EXEC_NUM_TEMP"),
    *("MXNET_GPU_WORKER_NTHREADS", "MXNET_KVSTORE_REDUCTION_NTHREADS", "DNNL_MAX_CPU_ISA", "DMLC_ROLE"),
    *(
        "MXNET_STORAGE_FALLBACK_LOG_VERBOSE",
        "MXNET_MKLDNN_CACHE_NUM",
        "MXNET_KVSTORE_BIGARRAY_BOUND",
        "DMLC_PS_ROOT_URI",
    ),
)
OTHERS = {
    "MPLBACKEND": ("nonsense", "", "TkAgg"),
    "MPLCONFIGDIR": ("/dev/null", "/proc/x"),
    "PYTHONIOENCODING": ("ascii", "latin-1", "utf-16", "ascii:strict"),
    "PYTHONOPTIMIZE": ("1", "2"),
    "PYTHONWARNINGS": ("error", "x"),
    "PYTHONUNBUFFERED": ("1",),
    "PYTHONDEVMODE": ("1",),
    "LANG": ("C", "nonsense"),
    "LC_ALL": ("C", "POSIX", "xx_XX"),
    "TERM": ("", "dumb", "nonsense"),
    "COLUMNS": ("0", "-1", "x", "1", "9" * 20),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1",),
    "TMPDIR": ("/nowhere", "/dev/null"),
    "MXNET_HOME": ("/dev/null", "/proc", "~nosuchuser", "\x1b[31m"),
    "XDG_DATA_DIRS": ("", ":::", "/dev/null", "a:b"),
    "MXNET_GLUON_REPO": ("", "x", "file:///", "http://", "http://[", "http://user:secret@127.0.0.1:9"),
    "HOME": ("", "/nowhere", "/dev/null", None),
    "GLUON_CLASSICS_NOTHING": ("x",),
}


def _command(rng, place, is_data=False):
    """Return a command and the check of what it prints. `is_data` is whether the variables lead to other data."""
    whole = place.world / "whole"
    which = rng.randrange(8)
    if which < 6:
        expected = runs.last_accuracy(whole)
        return ("evaluate", whole, "--json"), runs.sound_json if is_data else runs.same_accuracy(expected)
    if which < 7:
        return ("summary", "lenet"), lambda answer: None
    options = ("--data", place.world / "data", "--epochs", "1")
    return ("train", "lenet", *options, "--out", place.folder / "new"), _done(place)


def _done(place):
    def check(answer):
        text = (place.folder / "new" / "run.json").read_text()
        return None if '"status": "done"' in text else "exit status 0, but the run is not done"

    return check


def _case(what, rng, place, wrong=None, **options):
    changed = set(options.get("variables", ()))
    arguments, check = _command(rng, place, bool(changed & {"MXNET_HOME", "HOME", "XDG_DATA_DIRS"}))
    act = Process(lambda: processes.run(*arguments, cwd=place.folder, **options))
    return Case(f"{what}, {arguments[0]}", act, wrong, check)


def threads(rng, place):
    name, value = rng.choice(THREADS), rng.choice((*NONSENSE, "4", "1000", "100000"))
    return _case(f"{name}={value[:20]!r}", rng, place, variables={name: value})


def mxnet(rng, place):
    name = rng.choice(MXNET)
    values = ("server", "scheduler", "worker") if name == "DMLC_ROLE" else NONSENSE
    value = rng.choice(values)
    return _case(f"{name}={value[:20]!r}", rng, place, variables={name: value})


def others(rng, place):
    name = rng.choice(list(OTHERS))
    value = rng.choice(OTHERS[name])
    variables = {name: value}
    if name == "MXNET_GLUON_REPO":
        variables["MXNET_HOME"] = str(place.folder / "home")
    return _case(f"{name}={value!r:.40}", rng, place, variables=variables)


def limits(rng, place):
    """Small limits of memory, files and processes, as `ulimit` sets them."""
    name, values = rng.choice(
        (
            ("RLIMIT_AS", (100, 200, 300, 450, 600, 800, 1000, 1500)),
            ("RLIMIT_AS", (250, 350, 500, 700, 900, 1200)),
            ("RLIMIT_NOFILE", (3, 5, 10, 20, 40)),
            ("RLIMIT_DATA", (100, 200, 400, 800)),
            ("RLIMIT_STACK", (1, 2)),
        )
    )
    value = rng.choice(values)
    size = value << (0 if name == "RLIMIT_NOFILE" else 20)

    def limit():
        number = getattr(resource, name)
        resource.setrlimit(number, (size, resource.getrlimit(number)[1]))

    return _case(f"{name} {value}{'' if name == 'RLIMIT_NOFILE' else ' MB'}", rng, place, limits=limit)


def no_user(rng, place):
    """A user without a home and without an entry in the list of users, as in `docker run --user 12345`."""
    home = rng.choice((None, "/", ""))

    def become():
        if os.geteuid() == 0:  # the effective user stays, so that Python's own files can be read
            os.setreuid(12345, -1)

    os.chmod(place.folder, 0o777)
    command = rng.choice((("list",), ("summary", "lenet"), ("evaluate", place.world / "whole", "--json"), ("doctor",)))
    variables = {"HOME": home, "MXNET_HOME": None, "USER": None, "LOGNAME": None}
    act = Process(lambda: processes.run(*command, variables=variables, limits=become, cwd=place.folder))
    return Case(f"user 12345, HOME={home!r}, {command[0]}", act)


KINDS = (threads, mxnet, others, limits, no_user, others, mxnet, limits)
