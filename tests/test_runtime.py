"""The setup before MXNet loads: cores, threads, and errors that say what to do."""

import os
from pathlib import Path
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import gluon_classics
from gluon_classics import _runtime
from gluon_classics._runtime import usable_cores
from mxnet import autograd, gluon, nd
import numpy as np
import pytest

pytestmark = pytest.mark.short

ROOT = Path(gluon_classics.__file__).parents[1]  # the checkout, or the folder in which the package is installed


# --- usable_cores, on simulated machines


class Machine:
    """A simulated machine: folders like /sys and /proc of Linux, and an affinity mask."""

    def __init__(self, folder, monkeypatch, processors):
        self.sysfs, self.proc = folder / "sys", folder / "proc"
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(processors)), raising=False)

    def siblings(self, *groups):
        """Declare groups of processors that are hardware threads of one core."""
        for group in groups:
            for processor in group:
                topology = f"devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
                self.write(self.sysfs / topology, ",".join(map(str, group)) + "\n")

    def group(self, *lines):
        """Declare this process's cgroups, as lines of /proc/self/cgroup."""
        self.write(self.proc / "self/cgroup", "".join(line + "\n" for line in lines))

    def quota(self, folder, **files):
        """Write files of a cgroup. In their names, __ stands for the dot."""
        for name, content in files.items():
            self.write(self.sysfs / "fs/cgroup" / folder / name.replace("__", "."), content + "\n")

    def write(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    @property
    def cores(self):
        return usable_cores(str(self.sysfs), str(self.proc))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return lambda processors: Machine(tmp_path, monkeypatch, processors)


def test_without_topology_and_cgroups_every_allowed_processor_counts(machine):
    assert machine(6).cores == 6


def test_processors_outside_of_the_affinity_mask_do_not_count(machine, monkeypatch):
    eight = machine(8)
    eight.siblings([0, 4], [1, 5], [2, 6], [3, 7])
    assert eight.cores == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 6}, raising=False)
    assert eight.cores == 2


def test_hardware_threads_of_one_core_count_once(machine):
    hyper = machine(4)
    hyper.siblings([0, 1], [2, 3])
    assert hyper.cores == 2


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("300000 100000", 3),
        ("150000 100000", 2),  # one and a half, rounded up
        ("20000 100000", 1),
        ("1600000 100000", 8),  # more than the machine has
    ],
)
def test_the_quota_of_the_processs_cgroup_limits_the_cores(machine, quota, cores):
    limited = machine(8)
    limited.group("0::/user/job")
    limited.quota("user/job", cpu__max=quota)
    assert limited.cores == cores


@pytest.mark.parametrize("ancestor", ["user", "."])
def test_the_quota_of_a_parent_cgroup_limits_the_cores(machine, ancestor):
    limited = machine(8)
    limited.group("0::/user/job")
    limited.quota("user/job", cpu__max="500000 100000")
    limited.quota(ancestor, cpu__max="200000 100000")
    assert limited.cores == 2


def test_the_quota_of_another_cgroup_does_not_matter(machine):
    limited = machine(8)
    limited.group("0::/user/job")
    limited.quota("user/other", cpu__max="100000 100000")
    limited.quota("user/job/below", cpu__max="100000 100000")
    assert limited.cores == 8


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3), ("150000", 2)])
@pytest.mark.parametrize("folder", ["docker/abc", "docker", "."])
@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpuacct,cpu"])
def test_quotas_of_version_1_limit_the_cores(machine, folder, quota, cores, controllers):
    """Some systems list the controllers in a different order than the name of their folder does."""
    limited = machine(8)
    limited.group("5:memory:/docker/abc", f"4:{controllers}:/docker/abc", "1:name=systemd:/docker/abc")
    limited.quota(f"cpu,cpuacct/{folder}", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    (limited.sysfs / "fs/cgroup/cpu").symlink_to("cpu,cpuacct")
    assert limited.cores == cores


def test_other_controllers_of_version_1_do_not_limit_the_cores(machine):
    limited = machine(8)
    limited.group("5:cpuset:/docker/abc", "3:cpuacct:/docker/abc")
    for controller in ("cpuset", "cpuacct"):
        limited.quota(f"{controller}/docker/abc", cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")
    assert limited.cores == 8


def test_the_smaller_of_quota_and_affinity_mask_counts(machine):
    limited = machine(2)
    limited.group("0::/job")
    limited.quota("job", cpu__max="600000 100000")
    assert limited.cores == 2


def test_a_system_without_affinity_masks_counts_its_processors(tmp_path, monkeypatch):
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_cores(str(tmp_path), str(tmp_path)) == 5


# --- imports, each in a new process, because MXNet loads only once


def run(code, *options, **environment):
    """Run the code in a new process. Return its standard output and error; fail if the process fails."""
    ours = ("OMP_", "GOMP_", "PYTHONWARNINGS", "MXNET_OPTIMIZER_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    process = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.split("\n"), process.stderr


def test_importing_the_package_and_listing_networks_do_not_load_mxnet():
    run("""
        import sys
        import gluon_classics, gluon_classics.utils
        assert gluon_classics.model_info(gluon_classics.list_models()[0]) == gluon_classics.model_info("lenet")
        assert "mxnet" not in sys.modules and "numpy" not in sys.modules
        gluon_classics.LeNet
        assert "mxnet" in sys.modules
    """)


def test_an_import_of_mxnet_by_the_user_works():
    """Warnings are errors here, because MXNet warns while it loads."""
    run(
        """
        import gluon_classics
        import mxnet as mx
        import os
        assert mx.nd.ones((2, 3)).sum().asscalar() == 6
        assert isinstance(gluon_classics.LeNet(), mx.gluon.nn.Sequential)
        assert os.environ["OMP_NUM_THREADS"]
        """,
        "-W",
        "error",
    )


VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MXNET_OPTIMIZER_AGGREGATION_SIZE")


def after_import(**environment):
    """Return the variables after the import of MXNet, and the number of parameters that its optimizer updates."""
    lines, _ = run(
        f"""
        import os
        import gluon_classics
        before = [name for name in {VARIABLES} if name in os.environ]
        import mxnet
        print(*before)
        print(*(os.environ[name] for name in {VARIABLES}), mxnet.optimizer.SGD().aggregate_num)
        """,
        **environment,
    )
    assert lines[0].split() == list(environment)
    return lines[1].split()


def test_mxnet_gets_one_thread_per_usable_core_and_a_cpu_build_updates_one_parameter_at_a_time():
    assert after_import() == [str(usable_cores()), "passive", "1", "1"]


def test_settings_of_the_user_are_kept():
    assert after_import(**dict(zip(VARIABLES, ("7", "active", "3")))) == ["7", "active", "3", "3"]


def test_an_empty_thread_count_counts_as_unset():
    lines, _ = run("import os, gluon_classics, mxnet; print(os.environ['OMP_NUM_THREADS'])", OMP_NUM_THREADS=" ")
    assert lines[0] == str(usable_cores())


@pytest.mark.parametrize("wrong", ["4,2", "99999999999", "two", "0"])
def test_a_thread_count_that_aborts_mxnet_is_an_error_that_names_it(wrong):
    lines, _ = run(
        """
        import gluon_classics
        try:
            import mxnet
        except ImportError as error:
            print(error)
        """,
        OMP_NUM_THREADS=wrong,
    )
    assert lines[0].startswith(f"OMP_NUM_THREADS={wrong} is not a number that MXNet can read: set it to ")


@pytest.mark.parametrize("version", ["0.11.0", "1.5.1"])
def test_a_version_of_mxnet_that_is_too_old_is_an_error_that_says_what_to_install(version):
    mxnet = SimpleNamespace(__name__="mxnet", __version__=version)
    with pytest.raises(ImportError, match=rf"MXNet {version} is too old .* pip install --no-deps mxnet==1\.9\.1"):
        _runtime._load(lambda module: None, mxnet)


def test_a_version_that_is_too_old_and_already_imported_is_refused_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "mxnet", SimpleNamespace(__version__="1.5.1"))
    with pytest.raises(ImportError, match=r"MXNet 1\.5\.1 is too old"):
        _runtime.prepare()


# --- scratch memory


def test_operators_share_one_scratch_area_unless_the_user_sets_more():
    """Each of these convolutions needs 16 MB, so four areas take 48 MB more than one."""

    def held(**environment):
        lines, _ = run(
            """
            import gluon_classics, mxnet as mx
            maps, weight = mx.nd.ones((64, 16, 64, 64)), mx.nd.ones((16, 16, 3, 3))
            for _ in range(8):
                mx.nd.Convolution(maps, weight, kernel=(3, 3), num_filter=16, no_bias=True).wait_to_read()
            print(int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20)
            """,
            **environment,
        )
        return float(lines[0])

    assert held(MXNET_CPU_TEMP_COPY="4") - held() == pytest.approx(48, abs=16)


# --- updates


@pytest.mark.parametrize(("cuda", "size"), [(False, "1"), (True, None)])
def test_only_cpu_builds_change_the_number_of_parameters_per_update(cuda, size, monkeypatch):
    variable = "MXNET_OPTIMIZER_AGGREGATION_SIZE"
    monkeypatch.setenv(variable, "")  # so that monkeypatch restores it after the test
    monkeypatch.delenv(variable)
    features = SimpleNamespace(is_enabled=lambda feature: {"CUDA": cuda}[feature])
    without_scipy = SimpleNamespace(spsp=None)
    mxnet = SimpleNamespace(
        __name__="mxnet",
        __version__="1.9.1",
        runtime=SimpleNamespace(Features=lambda: features),
        ndarray=SimpleNamespace(utils=without_scipy, sparse=without_scipy),
    )
    _runtime._load(lambda module: None, mxnet)
    assert os.environ.get(variable) == size


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "wd": 0.01}], ids=["plain", "momentum"])
def test_updating_one_parameter_at_a_time_is_bit_identical(options, monkeypatch):
    """Seven parameters are not a multiple of four, so that the last group is smaller."""

    def updated(size):
        monkeypatch.setenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", size)
        values = np.random.RandomState(1)
        parameters = [gluon.Parameter(f"p{i}", shape=(i + 1, 5)) for i in range(7)]
        for parameter in parameters:
            parameter.initialize()
            parameter.set_data(nd.array(values.randn(*parameter.shape)))
        trainer = gluon.Trainer(parameters, "sgd", {"learning_rate": 0.1, **options})
        assert trainer.optimizer.aggregate_num == int(size)
        for _ in range(3):
            with autograd.record():
                loss = sum(((i + 1) * p.data().sin()).sum() for i, p in enumerate(parameters))
            loss.backward()
            trainer.step(3)
        return [parameter.data().asnumpy() for parameter in parameters]

    for one, four in zip(updated("1"), updated("4")):
        np.testing.assert_array_equal(one, four)


# --- SciPy


def test_arrays_are_made_without_a_warning_where_scipy_is_installed():
    """MXNet alone looks up the deprecated `scipy.sparse.csr` for each of them. SciPy itself is left as it was."""
    run(
        """
        import gluon_classics
        import mxnet as mx
        import numpy as np
        import scipy.sparse
        mx.nd.array([1, 2])
        matrix = scipy.sparse.csr_matrix(np.eye(3, dtype="float32"))
        for array in (mx.nd.array(matrix), mx.nd.sparse.array(matrix), mx.nd.sparse.csr_matrix(matrix)):
            assert array.stype == "csr"
            assert (array.asscipy() != matrix).nnz == 0
        assert mx.nd.sparse.csr_matrix(([1.0], ([0], [1])), shape=(2, 2)).asnumpy()[0, 1] == 1
        assert mx.ndarray.sparse.spsp is not scipy.sparse
        """,
        "-W",
        "error",
    )


def test_arrays_are_made_where_scipy_has_removed_its_old_names(tmp_path):
    """As SciPy 2 will."""
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text("")
    (tmp_path / "scipy" / "sparse.py").write_text("class csr_matrix: pass\nclass coo_matrix: pass\n")
    run(
        """
        import gluon_classics
        import mxnet as mx
        import scipy.sparse
        assert not hasattr(scipy.sparse, "csr")
        assert mx.nd.array([1, 2]).sum().asscalar() == 3
        """,
        PYTHONPATH=os.pathsep.join(map(str, (tmp_path, ROOT))),
    )


# --- imports that come too early


# imports gluon_classics when MXNet is loaded and the package has changed no setting
LATE_IMPORT = """
import os, sys, warnings
before = dict(os.environ)
import gluon_classics, mxnet
os.environ.clear()
os.environ.update(before)
for name in [name for name in sys.modules if name.startswith("gluon_classics")]:
    del sys.modules[name]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import gluon_classics
    import gluon_classics.utils
    gluon_classics.LeNet()
    gluon_classics.utils.try_gpu
for warning in caught:
    print(warning.category.__name__, warning.filename, warning.message)
"""


def test_importing_mxnet_first_gives_one_warning():
    """The warning points to the line that imported gluon_classics and says what to do."""
    lines, _ = run(LATE_IMPORT)
    assert lines[1:] == [""]
    category, place, message = lines[0].split(" ", 2)
    assert (category, place) == ("RuntimeWarning", "<string>")
    assert "import gluon_classics first" in message
    assert f"OMP_NUM_THREADS={usable_cores()}" in message


def test_importing_mxnet_first_gives_no_warning_if_the_threads_are_set():
    lines, _ = run(LATE_IMPORT, OMP_NUM_THREADS="1")
    assert lines == [""]


@pytest.mark.parametrize(
    "wish", ["gluon_classics.ResNet", "gluon_classics.get_model('vgg')", "gluon_classics.utils.try_gpu"]
)
def test_without_mxnet_the_error_names_the_extra_to_install(wish):
    run(f"""
        import importlib.machinery
        found = importlib.machinery.PathFinder.find_spec
        importlib.machinery.PathFinder.find_spec = classmethod(
            lambda cls, name, *rest: None if name == "mxnet" else found(name, *rest)
        )
        import gluon_classics, gluon_classics.utils
        import importlib.util
        assert importlib.util.find_spec("mxnet") is None  # other packages ask this and expect no error
        try:
            {wish}
        except ModuleNotFoundError as error:
            assert error.name == "mxnet", error.name
            assert str(error).endswith(gluon_classics._runtime.how_to_get_mxnet()), error
        else:
            raise AssertionError("MXNet was found")
    """)


@pytest.mark.parametrize("has_mxnet", [True, False])
@pytest.mark.parametrize("module", ["cv2", "pooch", "requests", "setuptools"])
def test_the_error_of_a_missing_module_names_the_extra_that_installs_it(module, has_mxnet, monkeypatch):
    """Without MXNet, the extra that brings both is named."""
    monkeypatch.setattr("importlib.util.find_spec", {"mxnet": has_mxnet or None}.get)
    monkeypatch.setattr(sys, "version_info", (3, 11, 0, "final", 0))  # newer ones need another extra
    wanted = (
        f"{module} is not installed. .*gluon-classics.runtime" if has_mxnet else r"MXNet is .*gluon-classics\[cpu\]"
    )
    with pytest.raises(ModuleNotFoundError, match=wanted), _runtime.missing_modules_explained():
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def test_other_missing_modules_keep_their_message():
    with pytest.raises(ModuleNotFoundError, match="No module named 'theirs'"), _runtime.missing_modules_explained():
        import theirs  # noqa: F401


def test_a_python_newer_than_mxnet_is_named_instead_of_an_extra(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 15, 0, "final", 0))
    assert _runtime.no_mxnet() == "MXNet is not installed. MXNet 1.9.1 runs on Python 3.8 to 3.14: use one of these."


@pytest.mark.parametrize(("minor", "extra"), [(8, "cpu"), (12, "cpu"), (13, "runtime")])
def test_the_extra_to_install_has_wheels_for_this_python(minor, extra, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, minor, 0, "final", 0))
    advice = _runtime.how_to_get_mxnet()
    assert f"pip install 'gluon-classics[{extra}]'" in advice
    assert ("pip install --no-deps mxnet==1.9.1" in advice) == (extra == "runtime")


def test_if_mxnets_library_does_not_load_the_error_names_doctor():
    """As on a machine without CUDA or libgomp."""
    run("""
        import ctypes

        class Refusing(ctypes.CDLL):
            def __init__(self, name, *rest, **options):
                if "libmxnet" in str(name):
                    raise OSError("libcudnn.so.8: cannot open shared object file")
                super().__init__(name, *rest, **options)

        ctypes.CDLL = Refusing
        import gluon_classics
        try:
            import mxnet
        except ImportError as error:
            assert "libcudnn.so.8" in str(error), error
            assert "gluon-classics doctor" in str(error), error
            assert isinstance(error.__cause__, OSError)
        else:
            raise AssertionError("MXNet was imported")
    """)
