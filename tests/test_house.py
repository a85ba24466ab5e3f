"""Rules of the house that no reviewer should have to check."""

import ast
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cyclegan_audio"
LAYERS = [  # each room may import from itself and from the layers below
    {"utils"},
    {"config"},
    {"cli"},
    {"audio"},
    {"models", "corpus"},
    {"inference", "data", "demo", "statistics", "reports.html", "reports.figures"},
    {"vocoders", "metrics"},
    {"training"},
    {"translation"},
    {"reports.evaluation", "reports.separability", "reports.corpus"},
    {"reports.comparison"},
    {"listening"},
    {"prepare", "classify", "train", "train_vocoder"}  # verbs
    | {"translate", "evaluate", "compare", "listening_test", "export"},
    {"__main__"},
]
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40  # without the docstring


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def imported(path: Path, known: Collection[str]) -> set[str]:
    """Modules of the package that a file imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & set(known)
            names |= submodules or {node.module or ""}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & set(known)


def layer(module: str) -> tuple[int, str]:
    """The layer of a module, and the room that it stands in."""
    inner = module.removeprefix("cyclegan_audio.")
    for place, rooms in enumerate(LAYERS):
        for room in rooms:
            if inner == room or inner.startswith(f"{room}."):
                return place, room
    raise AssertionError(f"{module} is in no layer: give it its place in tests/test_house.py")


@pytest.mark.parametrize("name", sorted(modules().keys() - {"cyclegan_audio", "cyclegan_audio.reports"}))
def test_imports_point_down(name):
    place, room = layer(name)
    for other in imported(modules()[name], modules().keys()) - {"cyclegan_audio", "cyclegan_audio.reports"}:
        its_place, its_room = layer(other)
        assert its_room == room or its_place < place, f"{name} must not import {other}"


def test_no_imports_go_in_a_circle():
    names = modules()
    graph = {name: imported(path, names) - {name, "cyclegan_audio"} for name, path in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            doc = len((ast.get_docstring(node, clean=False) or "").splitlines())
            length = (node.end_lineno or 0) - node.lineno + 1 - doc
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


def test_every_public_name_in_the_verbs_and_nouns_is_documented():
    missing = []
    for path in FILES:
        tree = ast.parse(path.read_text())
        nodes = [tree, *(n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef))]
        for node in nodes:
            name = getattr(node, "name", path.stem)
            empty = isinstance(node, ast.Module) and not node.body
            if not name.startswith("_") and not empty and ast.get_docstring(node) is None:
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert missing == []
