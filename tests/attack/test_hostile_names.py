"""Names of genres, songs, runs and losses that break figures, terminals, pages and tables."""

import ast
import io
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.text import Text

import cyclegan_audio
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import compose
from cyclegan_audio.reports.figures import classifier_results, distributions, relative_bars, spectrograms
from cyclegan_audio.reports.figures.loss_curves import loss_curves
from cyclegan_audio.reports.html import GOOD, Image, Player, Score, Section, Table, Version, View, render
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE

NAMES = {
    "mathematics": r"$\foo$",
    "two dollars": "$1 and $2",
    "hidden label": "_x",
    "formats": "%s {0} %(a)s ${x}",
    "tag": "<script>alert(1)</script>",
    "quotes": "a&b\"c'd",
    "formula": "=cmd()",
    "newline": "a\nb",
    "escape": "\x1b[2J\x07",
    "not UTF-8": "\udcff",
    "bidi": "\u202eevil",
    "right to left": "שלום",
    "emoji": "🎹",
    "long": "x" * 5000,
    "markup": "[red]a[/b]",
}
MEL = MelSpectrogram.from_dict(dict(compose("train", ["mel=hifi"]).mel))
NOISE = torch.rand(MEL.n_mels, 20)


def figures_with(name: str):
    """Yield each figure of the package, with `name` wherever a name can stand."""
    half = np.array([0.0, 1.0, 0.5])
    curve = (np.array([0, 1, 1]), half)
    yield distributions.histograms({name: {name: half, "b": half}}, "%")
    yield distributions.probability_histogram({name: half}, name, name)
    yield distributions.mean_spectra({name: np.ones((3, MEL.n_mels))}, MEL)
    yield classifier_results.misclassified([NOISE], [name], MEL, name)
    yield classifier_results.roc_curves({name: curve}, name)
    yield classifier_results.confusion_matrices({name: np.eye(2)}, (name, "b"))
    yield classifier_results.weight_spectrogram(NOISE.numpy(), MEL, 1.0, (name, "b"))
    yield classifier_results.weight_table(NOISE[:3].numpy(), ["a", "b", "c"], MEL, (name, "b"))
    yield loss_curves({name: [1.0, 2.0], "b": [1.0, 2.0]}, title=name)
    yield relative_bars.relative_bars({name: (0.5, 0.4, 0.6)}, name)
    yield relative_bars.forest_plot({name: ((0.5, 0.4, 0.6), "")}, name, {})
    yield spectrograms.cycle_grid([{name: NOISE, "b": NOISE}], MEL, name, row_labels=[name])
    yield spectrograms.contact_sheet([spectrograms.ClipRow(name, [NOISE], [name])], MEL)


def draw_figures_with(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        for figure in figures_with(name):
            figure.savefig(io.BytesIO(), format="png", dpi=20)
            assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_every_figure_draws_names_as_plain_text():
    draw_figures_with("$\\foo$\n\udcff\x1b")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_figure_draws_a_name_as_plain_text(name):
    draw_figures_with(name)


def test_legends_show_names_that_begin_with_an_underscore():
    name = "__$a$"
    legends = {
        figure: [text.get_text() for ax in figure.axes if ax.get_legend() for text in ax.get_legend().texts]
        for figure in figures_with(name)
    }
    shown = [texts for texts in legends.values() if texts]
    assert len(shown) == 5  # histograms, probabilities, spectra, ROC curves, losses
    for texts in shown:
        assert any(name in text for text in texts), texts


def test_pages_escape_names():
    name = "\n".join(NAMES.values())
    table = Table(name, [name], [[name]])
    picture = spectrograms.mel_pngs([NOISE], 4, 4)[0]
    player = Player(name, (Version(name, b"", "audio/mpeg", picture),), 1.0, note=name)
    place = (0.5, 0.4, 0.6)
    score = Score(name, name, GOOD, name, place, (name, name), 0.5, name)
    section = Section("s", name, [name], [table], [Image(picture, name, name)], [player])
    missing = Section("m", name, missing=name)
    page = render(name, name, [section, missing], [View(name, name, [player], name, [score])] * 2, name)
    page.encode("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not [character for character in page if character < " " and character != "\n"]
    assert "\u202e" not in page
    for text in ("\\x1b[2J", "\\u202eevil", "\\xff", "שלום", "🎹", "a&amp;b"):
        assert text in page


ALLOWED = ("cli/hydra_cli.py", "cli/verbs.py", "cli/error_reporting.py", "utils/signals.py")  # fixed texts
ALLOWED += ("utils/printing.py", "audio/encoder.py")  # the owner; to the process that reads it
ALLOWED += ("training/callbacks/progress.py", "inference/export.py", "training/runner.py")  # of libraries


def test_everything_is_printed_and_logged_by_one_owner():
    package = Path(cyclegan_audio.__file__).parent
    raw = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in sorted(package.rglob("*.py"))
        if str(path.relative_to(package)) not in ALLOWED
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "logging.getLogger", "warnings.warn")
    ]
    assert raw == []


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Return a function that runs a command in this process; it returns the exit code and what is shown."""
    monkeypatch.chdir(tmp_path)

    def run(verb: str, *arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", [verb, *arguments])
        code: object = 0
        try:
            import_module(f"cyclegan_audio.{verb}").main()
        except SystemExit as end:
            code = end.code
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return run


def is_clean(shown: str) -> bool:
    """Return whether no control or bidi character is in what a terminal gets."""
    return not [c for c in shown if (c < " " and c != "\n") or c in "\x7f\x9b\u202e"]


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("translate", ["\x1b[2J\u202e", "\r\x9bsong.wav", "\x1b]0;x\x07.wav", "--to", "rnb"]),
        ("translate", ["demo", "\x1b[2J\n.wav", "out.wav", "--to", "rnb"]),
        ("translate", ["demo", "\udcff\x1b.wav", "out.wav", "--to", "rnb"]),
        ("translate", ["demo", "x.wav", "out.wav", "--to", "rnb", "--\x1b[2J"]),
        ("evaluate", ["\x1b[2J"]),
        ("compare", ["\x1b[2J", "\udcff"]),
        ("export", ["\x1b[2J", "out.onnx"]),
        ("listening_test", ["--analyse", "\x1b[2J.json"]),
        ("train", ["corpus=\x1b[2J"]),
        ("train", ["corpus=\udcff"]),
        ("train", ["run_dir=\udcff"]),
        ("train", ["resume=\u202e\x1b[2J"]),
        ("prepare", ["--genre", "\x1b[2J=\x1b[1m", "corpus=c"]),
        ("prepare", ["--genre", "a=b", "corpus=c\udcff"]),
        ("prepare", ["--genre", "a\udcff=b", "corpus=c"]),
        ("classify", ["corpus=\x1b[2J"]),
    ],
)
def test_errors_show_no_control_characters(command, verb, arguments):
    code, shown = command(verb, *arguments)
    assert code == USER_ERROR_EXIT_CODE, shown
    assert is_clean(shown), repr(shown)
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1, shown


def test_a_missing_run_is_named_before_a_missing_song(command):
    code, shown = command("translate", "nope", "a.wav", "b.wav", "--to", "x")
    assert code == USER_ERROR_EXIT_CODE
    assert shown.startswith("error: no run 'nope'")


@pytest.mark.slow
def test_hostile_names_pass_through_all_commands(command, music, tiny, quick_classifiers, tmp_path):
    genres = ("$\\foo$<b>\"'&{0}%s", "_x\x1b[2J\u202e[red]\n🎹")
    for folder in ("low", "high"):
        names = ["\x1b[2J", "\u202eevil", "<b>", "=cmd()", "\udcff", "a\nb", "🎹", "x" * 200]
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            source = sorted((music / folder).glob("*.wav"))[number % 4]
            (tmp_path / folder / f"{name}.wav").write_bytes(source.read_bytes()[: -4 * number or None])
        (tmp_path / folder / "broken\x1b[2J.mp3").write_bytes(b"no music")
    pair = (f"genre_pair.a={genres[0]}", f"genre_pair.b={genres[1]}")
    folders = [f"--genre={genre}={folder}" for genre, folder in zip(genres, ("low", "high"), strict=True)]
    short = ("n_epochs=1", "n_epochs_decay=0", "data.crop_frames=32", "precision=32-true", "threads=1")
    for verb, arguments in (
        ("prepare", [*folders, "corpus=c", "clip.seconds=1.0", "workers=1"]),
        ("classify", ["corpus=c", *pair, "n_seeds=1", "out=classified"]),
        ("train", [*tiny, *short, *pair, "corpus=c", "logger=tensorboard", "run_dir=r\x1b[2J",
                   "callbacks.previews.clips=1"]),
        ("evaluate", ["r\x1b[2J", "--clips", "2", "--vocoder", "mask"]),
        ("listening_test", ["r\x1b[2J", "--clips", "1", "--abx", "1", "--vocoder", "mask", "--out", "test"]),
        ("translate", ["r\x1b[2J", "low", "out\x1b[2J", "--to", genres[1], "--vocoder", "mask"]),
    ):  # fmt: skip
        code, shown = command(verb, *arguments)
        assert code == (USER_ERROR_EXIT_CODE if verb == "translate" else 0), shown  # of the broken song
        assert is_clean(shown), repr(shown)
    assert len(list(tmp_path.rglob("out*/*.wav"))) == 8
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) == 4
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<b>" not in text
        assert is_clean(text)
