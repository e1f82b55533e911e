"""What the type checkers, which run on ``tests/typing``, cannot see."""

import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

import pytest

import sklkl
from sklkl._core.typing import DivergenceName
from sklkl.divergences._registry import NAMES

PACKAGES = ["sklkl", *(f"sklkl.{m.name}" for m in iter_modules(sklkl.__path__) if m.ispkg)]
PACKAGES = [name for name in PACKAGES if "._" not in name]
OWN = ("__init__", "__len__", "__getitem__")


def public_functions(package):
    """Yield the public functions, and the methods of classes, whose signature is ours."""
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing):
            for method in dir(thing):
                function = getattr(thing, method)
                ours = (getattr(function, "__module__", None) or "").startswith("sklkl")
                if ours and callable(function) and (method in OWN or method[0] != "_"):
                    yield f"{name}.{method}", function
        elif callable(thing):
            yield name, thing


@pytest.mark.parametrize("name", PACKAGES)
def test_public_signatures_are_annotated(name):
    if name == "sklkl.dask":
        pytest.importorskip("distributed")
    for function_name, function in public_functions(import_module(name)):
        signature = inspect.signature(function)
        bare = [
            p.name
            for p in signature.parameters.values()
            if p.annotation is p.empty and p.name != "self"
        ]
        assert not bare, function_name
        assert signature.return_annotation is not signature.empty, function_name


def test_names_of_divergences_are_those_of_the_registry():
    offered, any_other = get_args(DivergenceName)
    assert list(get_args(offered)) == NAMES
    assert any_other is str
