"""Environment variables and limits with which MXNet would end the process."""

import resource

from gluon_classics import _limits
import pytest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MXNET_CPU_WORKER_NTHREADS", "abc"),
        ("MXNET_CPU_WORKER_NTHREADS", "0"),  # waits forever
        ("MXNET_CPU_TEMP_COPY", "0"),  # divides by it
        ("MXNET_CPU_PARALLEL_RAND_COPY", "-1"),
        ("MXNET_OMP_MAX_THREADS", "2147483647"),
        ("MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN", "99999999999"),
        ("MXNET_OPTIMIZER_AGGREGATION_SIZE", "1.5"),
        ("MXNET_MKLDNN_ENABLED", "2"),
        ("MXNET_EXEC_BULK_EXEC_TRAIN", "yes"),
        ("MXNET_ENGINE_TYPE", "naiveengine"),
        ("MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN", "-5"),
        ("MXNET_MKLDNN_CACHE_NUM", "-7"),
        ("MXNET_USE_NUM_CORES_OPERATOR_TUNING", "-1"),  # waits forever
        ("MXNET_TUNING_WEIGHT_SCALE", "abc"),
        ("OMP_STACKSIZE", "100000G"),
        ("GOMP_STACKSIZE", " 9999999999 k "),
        ("OMP_STACKSIZE", "9" * 5000),
        ("MXNET_CPU_TEMP_COPY", "²"),
        ("MXNET_CPU_TEMP_COPY", "9" * 5000),
    ],
)
def test_a_variable_that_mxnet_aborts_on_is_named(name, value):
    problem = _limits.problem({name: value}, threads=1)
    assert problem.startswith(f"{name}={value[:40]}")
    assert len(problem) < 300
    assert problem.endswith("Change or unset it")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MXNET_CPU_WORKER_NTHREADS", "4"),
        ("MXNET_OMP_MAX_THREADS", "0"),
        ("MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN", "0"),
        ("MXNET_MKLDNN_CACHE_NUM", "-1"),
        ("MXNET_TUNING_WEIGHT_SCALE", "0.5"),
        ("MXNET_MKLDNN_ENABLED", "True"),
        ("MXNET_MKLDNN_ENABLED", "0"),
        ("MXNET_ENGINE_TYPE", "NaiveEngine"),
        ("MXNET_CPU_TEMP_COPY", ""),  # counts as unset
        ("OMP_STACKSIZE", "8M"),
        ("OMP_STACKSIZE", "nonsense"),  # OpenMP ignores it
        ("MXNET_HOME", "anything"),
    ],
)
def test_a_variable_that_mxnet_can_read_is_accepted(name, value):
    assert _limits.problem({name: value}, threads=1) == ""


@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_a_limit_in_which_mxnet_crashes_is_named_with_what_it_needs(kind, monkeypatch):
    def limited(size):
        sizes = {kind: size}
        monkeypatch.setattr(resource, "getrlimit", lambda k: (sizes.get(k, resource.RLIM_INFINITY),) * 2)
        return _limits.problem({}, threads=2)

    assert "limited to 1,000 MiB, and MXNet needs 1,568 MiB for 2 threads" in limited(1000 * 2**20)
    assert limited(2000 * 2**20) == ""
    assert limited(resource.RLIM_INFINITY) == ""
