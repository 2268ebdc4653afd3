"""What the public names report about themselves: type hints, module, repr, pickle."""

import inspect
import pickle
import subprocess
import sys
import typing
from collections.abc import Iterator
from types import ModuleType

import pytest

import ktls_fast
import ktls_fast.constants
import ktls_fast.errors
import ktls_fast.selectors
import ktls_fast.simulate
from ktls_fast import _core

MODULES = (
    ktls_fast,
    ktls_fast.constants,
    ktls_fast.errors,
    ktls_fast.selectors,
    ktls_fast.simulate,
)
NAMED_TUPLES = ("ControlRecord", "KeyUpdateFound", "QueueStats", "TlsInfo")


def functions_and_classes(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield the public functions, classes and methods of a module with their names."""
    for name in module.__all__:
        found = getattr(module, name)
        if callable(found):
            yield f"{module.__name__}.{name}", found
        if inspect.isclass(found):
            for method, function in inspect.getmembers(found, inspect.isroutine):
                yield f"{module.__name__}.{name}.{method}", function
            for attribute, value in inspect.getmembers(found, lambda it: isinstance(it, property)):
                yield f"{module.__name__}.{name}.{attribute}", value.fget


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_type_hints_of_all_public_names_can_be_evaluated(module: ModuleType) -> None:
    for name, function in functions_and_classes(module):
        try:
            typing.get_type_hints(function)
        except TypeError:  # a method of the C API without annotations
            assert not hasattr(function, "__annotations__"), name
        except NameError as error:
            pytest.fail(f"{name}: {error}")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("hints(ktls_fast.accept)['sock']", "<class 'socket.socket'>"),
        ("hints(ktls_fast.accept)['return']", "<class 'ktls_fast.Connection'>"),
        ("hints(ktls_fast.connect)['config']", "ktls_fast.ClientConfig | None"),
        ("hints(ktls_fast.ktls_socket)['sock']", "<class 'socket.socket'>"),
        ("hints(ktls_fast.ktls_socket)['return']", "ktls_fast.KtlsSocket | ktls_fast.KernelSocket"),
    ],
)
def test_type_hints_import_what_they_name(expression: str, expected: str) -> None:
    code = f"import ktls_fast\nfrom typing import get_type_hints as hints\nprint({expression})"
    command = [sys.executable, "-W", "error", "-c", code]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert output == f"{expected}\n"


# Not of `simulate`, whose classes are those of the command.
@pytest.mark.parametrize("module", MODULES[:-1], ids=lambda module: module.__name__)
def test_no_public_class_names_a_private_module(module: ModuleType) -> None:
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isclass(found):
            assert "._" not in found.__module__, name
            assert getattr(sys.modules[found.__module__], found.__qualname__) is found


@pytest.mark.parametrize("name", NAMED_TUPLES)
def test_a_named_tuple_is_pickled_by_its_public_name(name: str) -> None:
    kind = getattr(ktls_fast, name)
    made = kind(*range(len(kind._fields)))
    assert repr(made).startswith(f"{name}({kind._fields[0]}=0")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(made, protocol)
        assert b"_core" not in pickled
        again = pickle.loads(pickled)
        assert (type(again), again) == (kind, made)


@pytest.mark.parametrize("name", NAMED_TUPLES)
def test_a_named_tuple_is_unpickled_by_its_former_name(name: str) -> None:
    kind = getattr(ktls_fast, name)
    made = kind(*range(len(kind._fields)))
    old = pickle.dumps(made, 0).replace(b"cktls_fast\n", b"cktls_fast._core\n")
    assert b"_core" in old
    assert pickle.loads(old) == made
    assert getattr(_core, name) is kind
