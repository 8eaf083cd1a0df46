"""Imports run one way, as the table in docs/design.md says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import keras_segnet

PACKAGE = Path(keras_segnet.__file__).parent
PLAN = PACKAGE.parent / "docs" / "design.md"


def read_plan(text: str) -> list[tuple[list[str], list[str]]]:
    """The modules of each row, and those that they may import; `["*"]` where that is everything."""
    table = text.split("|---|---|---|\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    names = re.compile(r"`([\w.]+)`")
    return [
        (names.findall(modules), ["*"] if imports == "everything" else names.findall(imports))
        for modules, _, imports in rows
    ]


def modules() -> dict[str, Path]:
    """Files by the name of their module behind `keras_segnet.`; a package's `__init__.py` by the package's name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imported(source: str, known: set[str]) -> list[str]:
    """The modules of this library that a file imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}".removeprefix("keras_segnet.")
                found.append(f"keras_segnet.{inside}" if inside in known else str(node.module))
    inside = [name.removeprefix("keras_segnet").lstrip(".") for name in found if name.split(".")[0] == "keras_segnet"]
    return [name or "__init__" for name in inside]


def row_of(module: str, plan: list[tuple[list[str], list[str]]]) -> int:
    """The row that names a module or, most closely, a package around it."""
    rows = {name: number for number, (names, _) in enumerate(plan) for name in names}
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in rows:
            return rows[name]
    raise AssertionError(f"docs/design.md has no row for {module}")


def violations(sources: dict[str, str], plan: list[tuple[list[str], list[str]]]) -> list[str]:
    found = []
    for module, source in sorted(sources.items()):
        row = row_of(module, plan)
        allowed = plan[row][1]
        open_rows = {0, row, *(row_of(name, plan) for name in allowed if name != "*")}
        for other in imported(source, set(sources)):
            # The front door holds what there is no module for: the version.
            if allowed != ["*"] and row_of(other, plan) not in open_rows:
                found.append(f"{module} imports {other}")
    return found


def test_imports_follow_the_table() -> None:
    assert violations({name: path.read_text() for name, path in modules().items()}, read_plan(PLAN.read_text())) == []


def test_the_table_itself_runs_one_way() -> None:
    plan = read_plan(PLAN.read_text())
    above: set[str] = set()
    for names, allowed in plan:
        assert set(allowed) <= above | {"*"}, f"{names} may import what stands below"
        assert not above & set(names), f"{names} has two rows"
        above |= set(names)
    known = set(modules())
    assert above <= known, f"there is no {above - known}"


def test_what_breaks_the_table_is_found() -> None:
    plan = [(["errors"], []), (["data"], []), (["models", "models.graph"], ["data"]), (["cli", "__init__"], ["*"])]
    sources = {"errors": "", "data.files": "", "models": "", "models.unet": "", "cli": "import keras_segnet.data.files"}
    for module, source, found in [
        ("data.files", "from keras_segnet.models import unet", ["data.files imports models.unet"]),
        ("data.files", "def f():\n    import keras_segnet.models.unet as u", ["data.files imports models.unet"]),
        ("data.files", "if TYPE_CHECKING:\n    from keras_segnet import models", ["data.files imports models"]),
        ("errors", "from keras_segnet.data.files import x", ["errors imports data.files"]),
        ("data.files", "import keras_segnet", ["data.files imports __init__"]),
        ("models.unet", "from keras_segnet.data.files import x\nfrom keras_segnet.errors import y\nimport keras", []),
    ]:
        assert violations({**sources, module: source}, plan) == found, source


def when_loaded(source: str) -> str:
    """The source without its functions, whose imports come later."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


def test_what_is_registered_imports_nothing_of_ours_that_imports_keras() -> None:
    """See `keras_segnet._register`."""
    sources = {name: when_loaded(path.read_text()) for name, path in modules().items()}
    waiting, seen = list(keras_segnet.REGISTERED), set[str]()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting += [name for name in imported(sources[module], set(sources)) if name not in seen]
    # The layers import each other, from the bottom up.
    outside = {module for module in seen if module.split(".")[0] not in keras_segnet.REGISTERED}
    needs_keras = re.compile(r"^(import keras|from keras import)", re.MULTILINE)
    assert {module for module in outside if needs_keras.search(sources[module])} == set()
