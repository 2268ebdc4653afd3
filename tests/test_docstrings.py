"""``help()`` and ``inspect.signature`` show the contents of the stub at run time."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import ktls_fast
from ktls_fast import _core

STUB = ast.parse((Path(ktls_fast.__file__).parent / "_core.pyi").read_text())

Function = ast.FunctionDef


def functions(body: list[ast.stmt]) -> dict[str, Function]:
    """Return the functions of a module or class; of overloads the first, which is documented."""
    found: dict[str, Function] = {}
    for node in body:
        if isinstance(node, Function):
            found.setdefault(node.name, node)
    return found


def classes() -> dict[str, ast.ClassDef]:
    """Return the classes of the stub."""
    return {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}


def members() -> Iterator[tuple[str, str, Function]]:
    """Yield the class, name and definition of each method and property."""
    for name, node in classes().items():
        for member, function in functions(node.body).items():
            yield name, member, function


def named(node: Function) -> list[tuple[str, object]]:
    """Return the parameters without ``self`` and ``cls``, and their defaults."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = list(zip(positional, [*missing, *arguments.defaults], strict=True))
    pairs += list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    empty = inspect.Parameter.empty
    return [
        (argument.arg, empty if default is None else ast.literal_eval(default))
        for argument, default in pairs
        if argument.arg not in {"self", "cls"}
    ]


METHODS = [
    (name, member, function)
    for name, member, function in members()
    if not member.startswith("__") or member == "__exit__"
]
IDS = [f"{name}.{member}" for name, member, _ in METHODS]


@pytest.mark.parametrize(("owner", "name", "function"), METHODS, ids=IDS)
def test_methods_have_the_docstring_of_the_stub(owner: str, name: str, function: Function) -> None:
    documented = ast.get_docstring(function)
    assert documented
    assert inspect.getdoc(getattr(getattr(_core, owner), name)) == documented


@pytest.mark.parametrize("name", classes())
def test_classes_have_the_docstring_of_the_stub_and_of_their_constructor(name: str) -> None:
    node = classes()[name]
    text = inspect.getdoc(getattr(_core, name)) or ""
    new = functions(node.body).get("__new__")
    documented = [ast.get_docstring(part) for part in (node, new) if part]
    assert text == "\n\n".join(filter(None, documented))


@pytest.mark.parametrize("name", functions(STUB.body))
def test_functions_have_the_docstring_of_the_stub(name: str) -> None:
    documented = ast.get_docstring(functions(STUB.body)[name])
    assert documented
    assert inspect.getdoc(getattr(_core, name)) == documented


def test_the_module_has_the_docstring_of_the_stub() -> None:
    assert inspect.getdoc(_core) == ast.get_docstring(STUB)


@pytest.mark.parametrize(
    ("owner", "name", "function"),
    [
        (name, member, function)
        for name, member, function in members()
        if member == "__new__" or not (member.startswith("__") or function.decorator_list)
    ],
)
def test_signatures_have_the_names_and_defaults_of_the_stub(
    owner: str, name: str, function: Function
) -> None:
    described = getattr(_core, owner)
    if name != "__new__":
        described = getattr(described, name)
    parameters = inspect.signature(described).parameters.values()
    found = [(each.name, each.default) for each in parameters if each.name != "self"]
    assert found == named(function)


@pytest.mark.parametrize("name", ["ControlRecord", "KeyUpdateFound", "QueueStats", "TlsInfo"])
def test_fields_of_named_tuples_have_the_docstrings_of_the_stub(name: str) -> None:
    body = classes()[name].body
    described = getattr(_core, name)
    fields = [node.target.id for node in body if isinstance(node, ast.AnnAssign)]  # type: ignore[union-attr]
    assert described._fields == tuple(fields)
    for field, text in zip(body[1::2], body[2::2], strict=True):
        assert isinstance(field, ast.AnnAssign)
        assert isinstance(text, ast.Expr)
        target = ast.unparse(field.target)
        assert inspect.getdoc(getattr(described, target)) == inspect.cleandoc(
            ast.literal_eval(text.value)
        )


def test_every_public_name_of_the_package_has_a_docstring() -> None:
    for name in ktls_fast.__all__:
        value = getattr(ktls_fast, name)
        if inspect.isclass(value) or callable(value):
            assert inspect.getdoc(value), name
