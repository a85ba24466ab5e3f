"""Rules of the house that no reviewer should have to check."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cyclegan_audio"
LAYERS = [  # each may import from its own layer's package and from the layers below
    {"errors", "paths"},
    {"names"},
    {"config", "devices", "hints", "progress", "defaults", "utils"},
    {"cli"},
    {"audio"},
    {"models", "data"},
    {"vocoders", "metrics", "figures", "pages"},
    {"training"},
    {"translation"},
    {"evaluation", "feasibility", "corpus_page"},
    {"comparison"},
    {"listening"},
    {"prepare", "classify", "train", "train_vocoder"}  # verbs
    | {"translate", "evaluate", "compare", "listening_test", "export"},
    {"__main__"},
]
FILES = sorted(PACKAGE.rglob("*.py"))
WITH_CIRCLES = {"comparison", "training", "translation"}  # parts whose circles are still to be mended
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40  # without the docstring


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def layer(part: str) -> int:
    places = [place for place, parts in enumerate(LAYERS) if part in parts]
    assert places, f"{part} is in no layer: give it its place in tests/test_house.py"
    return places[0]


def imports(path: Path) -> set[str]:
    """Parts of the package that a file imports, at the top or inside a function."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module == "cyclegan_audio":
            names = [f"cyclegan_audio.{alias.name}" for alias in node.names if not alias.name.startswith("_")]
        parts |= {name.split(".")[1] for name in names if name.startswith("cyclegan_audio.")}
    return parts


@pytest.mark.parametrize(
    "path", [f for f in FILES if f.parent != PACKAGE or f.stem != "__init__"], ids=relative
)
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for part in imports(path) - {own}:
        assert layer(part) < layer(own), f"{own} must not import {part}"


def module_graph(part: Path) -> dict[str, set[str]]:
    """Modules of a part of the package, each with those of the same part that it imports anywhere."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in part.rglob("*.py")}
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    graph: dict[str, set[str]] = {}
    for path, name in names.items():
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                deeper = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= deeper & set(names.values()) or {node.module}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
        graph[name] = wanted & set(names.values()) - {name}
    return graph


@pytest.mark.parametrize("part", sorted({p.parent.name for p in PACKAGE.glob("*/*.py")} - WITH_CIRCLES))
def test_no_imports_go_in_a_circle(part):
    TopologicalSorter(module_graph(PACKAGE / part)).prepare()  # raises CycleError, which names the modules


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
