"""Each package lists its public names and loads them on first use."""

from importlib import import_module
import inspect

import pytest

PACKAGES = (
    "gluon_classics",
    "gluon_classics.utils",
    *(
        f"gluon_classics.{name}"
        for name in (
            *("models", "compiler", "inspection", "data", "experiment", "runs"),
            *("reproduction", "report", "diagnostics"),
        )
    ),
)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_documented_and_found_in_the_module_that_defines_it(name):
    package = import_module(name)
    for public, home in package._HOMES.items():
        found = getattr(package, public)
        assert found is getattr(import_module(home, name), public)
        assert inspect.getdoc(found)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'"):
        import_module(name).nothing  # noqa: B018  the access is what is tested
