"""Rules for the source code: layers of imports, no circular imports, file and function length, docstrings."""

import ast
import itertools
import re
import tokenize
from collections.abc import Collection, Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cyclegan_audio"
LAYERS = [  # each package may import from itself and from the layers below
    {"utils"},
    {"config"},
    {"cli"},
    {"audio"},
    {"models", "corpus"},
    {"inference", "data", "demo", "statistics", "reports.html", "reports.figures"},
    {"vocoders", "metrics", "reports.players"},
    {"training"},
    {"translation"},
    {"reports.evaluation", "reports.separability", "reports.corpus"},
    {"reports.comparison"},
    {"listening", "sharing"},
    {"web"},
    {"prepare", "classify", "train", "train_vocoder"}  # verbs
    | {"translate", "evaluate", "compare", "listening_test", "export", "share", "app"},
    {"__main__"},
]
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40  # without the docstring


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def imported(path: Path, known: Collection[str]) -> set[str]:
    """Return the modules of the package that a file imports, at the top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & set(known)
            names |= submodules or {node.module or ""}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & set(known)


def layer(module: str) -> tuple[int, str]:
    """Return the layer of a module, and the package in that layer."""
    inner = module.removeprefix("cyclegan_audio.")
    for index, packages in enumerate(LAYERS):
        for package in packages:
            if inner == package or inner.startswith(f"{package}."):
                return index, package
    raise AssertionError(f"{module} is in no layer; add it to LAYERS")


@pytest.mark.parametrize("name", sorted(modules().keys() - {"cyclegan_audio", "cyclegan_audio.reports"}))
def test_imports_point_down(name):
    index, package = layer(name)
    for other in imported(modules()[name], modules().keys()) - {"cyclegan_audio", "cyclegan_audio.reports"}:
        other_index, other_package = layer(other)
        assert other_package == package or other_index < index, f"{name} must not import {other}"


def reachable(start: Iterable[str], known: Mapping[str, Path]) -> set[str]:
    """Return the modules that are imported from `start`, directly or through others, with `start`."""
    reached, left = set(), list(start)
    while left:
        if (name := left.pop()) not in reached:
            reached.add(name)
            left += imported(known[name], known)
    return reached


def test_the_tagger_only_judges():
    """No loss, discriminator, module, validation or checkpoint can use the independent tagger."""
    names = modules()
    tagger = {name for name in names if name.startswith("cyclegan_audio.metrics.tagger")}
    log = "cyclegan_audio.training.callbacks.tagger_logging"  # only `conf/callbacks` names it
    users = {name for name, path in names.items() if imported(path, names) & tagger} - tagger - {log}
    assert {layer(name)[1] for name in users} <= {"metrics", "reports.evaluation", "reports.comparison"}
    assert [name for name, path in names.items() if log in imported(path, names)] == []
    assert reachable([log], names) & tagger
    packages = tuple(f"cyclegan_audio.{package}" for package in ("models", "data", "training"))
    of_training = {name for name in names if name.startswith(packages)} - {log}
    assert "cyclegan_audio.metrics.validation" in reachable(of_training, names)
    assert not reachable(of_training, names) & tagger


def test_imports_are_not_circular():
    names = modules()
    graph = {name: imported(path, names) - {name, "cyclegan_audio"} for name, path in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError with the modules


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            doc = len((ast.get_docstring(node, clean=False) or "").splitlines())
            length = (node.end_lineno or 0) - node.lineno + 1 - doc
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


def test_public_modules_functions_and_classes_have_docstrings():
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


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_joined_string_literals_break_where_a_line_is_full(path):
    """A literal that goes on in the next line has more than three words."""
    with tokenize.open(path) as file:
        layout = (tokenize.NL, tokenize.COMMENT)
        tokens = [token for token in tokenize.generate_tokens(file.readline) if token.type not in layout]
    for first, second in itertools.pairwise(tokens):
        if first.type == second.type == tokenize.STRING:
            words = re.sub(r"^\w*[\"']+|[\"']+$", "", first.string).split()
            assert len(words) > 3, f"line {first.start[0]}: {first.string}"
