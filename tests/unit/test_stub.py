"""`_core.pyi` says exactly what the compiled module has: names, kinds and signatures.

Names in the stub that begin with an underscore exist for typing alone.
"""

import ast
import inspect
import types
from pathlib import Path

import karman_grid
from karman_grid import _core

STUB = Path(karman_grid.__file__).with_name("_core.pyi")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

# What a stub line or a member of the module is: kind, and for callables the parameters.
Shape = tuple[str, tuple[str, ...]]


def stub_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    """Parameters as `name`, `name=`, `*name`, with `/` and `*` where the stub has them."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    found = []
    for index, argument in enumerate(positional):
        found.append(argument.arg + ("=" if index >= first_default else ""))
        if index + 1 == len(arguments.posonlyargs):
            found.append("/")
    if arguments.vararg:
        found.append("*" + arguments.vararg.arg)
    elif arguments.kwonlyargs:
        found.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(argument.arg + ("=" if default is not None else ""))
    if arguments.kwarg:
        found.append("**" + arguments.kwarg.arg)
    return tuple(found)


def binary_parameters(target: object) -> tuple[str, ...]:
    """The same, from the signature that the compiled module carries."""
    parameters = list(inspect.signature(target).parameters.values())  # type: ignore[arg-type]
    found: list[str] = []
    star = False
    for index, parameter in enumerate(parameters):
        kind = parameter.kind
        default = "=" if parameter.default is not parameter.empty else ""
        if kind is parameter.KEYWORD_ONLY and not star:
            found.append("*")
            star = True
        if kind is parameter.VAR_POSITIONAL:
            star = True
        mark = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(kind.name, "")
        found.append(mark + parameter.name + default)
        last = index + 1 == len(parameters)
        if kind is parameter.POSITIONAL_ONLY and (last or parameters[index + 1].kind is not kind):
            found.append("/")
    return tuple(found)


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of a stub function's decorators (`x` of `@a.x` for setters)."""
    return {
        mark.attr if isinstance(mark, ast.Attribute) else getattr(mark, "id", "")
        for mark in node.decorator_list
    }


def stub_members(body: list[ast.stmt]) -> dict[str, Shape]:
    """Shapes of the public members of a stub module or class; dunder methods other than the
    constructor are the language's business and mypy's stubtest looks at them."""
    found: dict[str, Shape] = {}
    for node in body:
        if isinstance(node, FUNCTION):
            marks = decorators(node)
            parameters = stub_parameters(node)
            if "property" in marks or "setter" in marks:
                found[node.name] = ("property", ())
            elif node.name in {"__init__", "__new__"}:
                found["(constructor)"] = ("callable", parameters[1:])
            elif not node.name.startswith("_"):
                found[node.name] = ("callable", parameters)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found[node.name] = ("class", ())
        elif isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
            if not name.startswith("_"):
                found[name] = ("value", ())
    return found


def binary_class(kind: type) -> dict[str, Shape]:
    """Shapes of the public members that a compiled class itself defines."""
    found: dict[str, Shape] = {}
    for name, member in vars(kind).items():
        if name == "__new__" and not issubclass(kind, BaseException):
            found["(constructor)"] = ("callable", binary_parameters(kind))
        elif name.startswith("_"):
            continue
        elif isinstance(member, types.GetSetDescriptorType | property):
            found[name] = ("property", ())
        elif isinstance(member, classmethod | types.ClassMethodDescriptorType):
            found[name] = ("callable", ("cls", *binary_parameters(getattr(kind, name))))
        elif callable(member) or isinstance(member, staticmethod):
            found[name] = ("callable", binary_parameters(getattr(kind, name)))
        else:
            found[name] = ("value", ())
    return found


def without_self(shapes: dict[str, Shape]) -> dict[str, Shape]:
    """The binary marks `self` positional-only (`self, /`); the stub need not."""
    return {
        name: (kind, ("self", *parameters[2:]) if parameters[:2] == ("self", "/") else parameters)
        for name, (kind, parameters) in shapes.items()
    }


def binary_module() -> dict[str, Shape]:
    """Shapes of the compiled module's public names."""
    found: dict[str, Shape] = {}
    for name in dir(_core):
        member = getattr(_core, name)
        if name.startswith("_"):
            continue
        if isinstance(member, type):
            found[name] = ("class", ())
        elif callable(member):
            found[name] = ("callable", binary_parameters(member))
        else:
            found[name] = ("value", ())
    return found


def stub_tree() -> ast.Module:
    """The stub, parsed."""
    return ast.parse(STUB.read_text(encoding="utf-8"))


def test_the_stub_names_what_the_module_has() -> None:
    assert stub_members(stub_tree().body) == binary_module()


def test_each_class_has_the_members_the_stub_says() -> None:
    classes = {
        node.name: node
        for node in stub_tree().body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert classes
    for name, node in classes.items():
        stub = without_self(stub_members(node.body))
        assert (name, stub) == (name, without_self(binary_class(getattr(_core, name))))


def test_differences_are_seen() -> None:
    source = (
        "def f(a: int, /, b: int = ..., *, c: int, d: int = ...) -> None: ...\n"
        "class A:\n    def __new__(cls, x: int) -> A: ...\n    @property\n"
        "    def p(self) -> int: ...\n    def m(self, *v: int, **k: int) -> None: ...\n"
        "class _Hint: ...\nVERSION: str\n"
    )
    tree = ast.parse(source)
    assert stub_members(tree.body) == {
        "f": ("callable", ("a", "/", "b=", "*", "c", "d=")),
        "A": ("class", ()),
        "VERSION": ("value", ()),
    }
    body = tree.body[1]
    assert isinstance(body, ast.ClassDef)
    assert stub_members(body.body) == {
        "(constructor)": ("callable", ("x",)),
        "p": ("property", ()),
        "m": ("callable", ("self", "*v", "**k")),
    }

    def same(a: int, /, b: int = 1, *, c: int, d: int = 2) -> None: ...

    assert binary_parameters(same) == ("a", "/", "b=", "*", "c", "d=")
