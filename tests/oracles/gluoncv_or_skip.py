"""GluonCV, or a module that is skipped where it cannot be imported."""

import warnings

import pytest

try:
    with warnings.catch_warnings():
        # GluonCV compares versions with distutils
        warnings.filterwarnings("ignore", "distutils Version classes are deprecated", DeprecationWarning)
        from gluoncv import model_zoo as model_zoo
        from gluoncv.model_zoo.vgg import VGG as VGG
except (ImportError, RuntimeError) as error:  # RuntimeError: GluonCV refuses PyTorch 2
    pytest.skip(f"needs GluonCV, without PyTorch ({error}): tox -e oracle-gluoncv", allow_module_level=True)

# MXNet imports an old name from SciPy, which GluonCV installs
with_old_names = pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")
