"""Import directions in Python that the layers contract in pyproject.toml cannot express.

The compiled `_core` is invisible to the import graph, so who may import it is checked here; so is
what adapters may import, and that inner rooms do not reach each other through the façade.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.project_files import ROOT, files_with, read

PACKAGE = Path("python/karman_grid")
CORE_IMPORTERS = {"__init__", "engine", "agent", "twin", "clock", "program"}
CORE_IMPORTERS_DEEP = {"karman_grid.api.metrics"}
ADAPTERS_MAY_IMPORT = {"model", "ports", "units", "errors", "testing"}


def imported(source: str) -> Iterator[str]:
    """Dotted names that a module imports, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    """`python/karman_grid/api/app.py` -> `karman_grid.api.app`."""
    return ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")


def may_import_core(module: str) -> bool:
    """Whether the module is one of the few doors to the compiled core."""
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else "__init__"
    return room in CORE_IMPORTERS or module in CORE_IMPORTERS_DEEP


def core_imports(module: str, source: str) -> list[str]:
    """Imports of `_core` from where none may be."""
    if may_import_core(module):
        return []
    return [
        f"{module} -> {name}" for name in imported(source) if name.startswith("karman_grid._core")
    ]


def facade_imports(module: str, source: str, rooms: set[str]) -> list[str]:
    """Names taken from the façade by our own modules, which would hide a direction."""
    return [
        f"{module} -> {name}"
        for name in imported(source)
        if name.startswith("karman_grid.")
        and name.split(".")[1] not in rooms | {"_core", "__version__"}
    ]


def adapter_imports(source: str) -> list[str]:
    """Names that an adapter imports from the core package beyond its public rooms."""
    return [
        name
        for name in imported(source)
        if name.split(".")[0] == "karman_grid"
        and not ADAPTERS_MAY_IMPORT.intersection(name.split(".")[1:2])
    ]


def package_files() -> list[Path]:
    """The package's modules."""
    return [path for path in files_with(".py") if path.is_relative_to(PACKAGE)]


def rooms() -> set[str]:
    """First-level names inside the package."""
    return {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in package_files()}


def test_only_the_doors_import_the_core() -> None:
    files = package_files()
    assert files
    wrong = [line for path in files for line in core_imports(module_name(path), read(path))]
    assert wrong == []


def test_inner_modules_do_not_use_the_facade() -> None:
    wrong = [
        line
        for path in package_files()
        if module_name(path) != "karman_grid"
        for line in facade_imports(module_name(path), read(path), rooms())
    ]
    assert wrong == []


def test_adapters_use_public_rooms_only() -> None:
    wrong = [
        f"{path}: {name}"
        for path in files_with(".py")
        if path.parts[0] == "adapters" and "tests" not in path.parts
        for name in adapter_imports(read(path))
    ]
    assert wrong == []


def test_every_room_is_named_by_the_layers_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = project["tool"]["importlinter"]["contracts"]
    named = {
        name.strip(" ()") for row in contract["layers"] for name in row.replace(":", "|").split("|")
    } | set(contract["exhaustive_ignores"])
    assert contract["exhaustive"] is True
    assert rooms() - {"__init__"} <= named


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in package_files()}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


def test_wrong_imports_are_seen() -> None:
    source = "from karman_grid import _core\nimport karman_grid._core as c\n"
    assert len(core_imports("karman_grid.model.site", source)) == 2
    assert core_imports("karman_grid.twin.run", source) == []
    assert core_imports("karman_grid", source) == []
    assert len(core_imports("karman_grid.api.app", source)) == 2
    assert core_imports("karman_grid.api.metrics", source) == []
    assert facade_imports("karman_grid.model.a", "from karman_grid import Allocator", {"model"})
    assert not facade_imports("karman_grid.api.a", "from karman_grid import model", {"model"})
    assert adapter_imports("from karman_grid.service import wiring") == [
        "karman_grid.service.wiring"
    ]
    assert adapter_imports("from karman_grid.ports import Source\nimport karman_grid.units") == []
    assert adapter_imports("import karman_grid") == ["karman_grid"]
