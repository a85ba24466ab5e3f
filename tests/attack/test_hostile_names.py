"""Names of genres, songs, runs and losses that break figures, terminals, pages and tables."""

import io
import warnings

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import compose
from cyclegan_audio.reports.figures import classifier_results, distributions, relative_bars, spectrograms
from cyclegan_audio.reports.figures.loss_curves import loss_curves
from cyclegan_audio.reports.html import AudioGroup, Image, Section, Table, render

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
    draw_figures_with("\n".join(NAMES.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_figure_draws_a_name_as_plain_text(name):
    draw_figures_with(name)


@pytest.mark.parametrize("name", ["_x", "__$a$"])
def test_legends_show_names_that_begin_with_an_underscore(name):
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
    section = Section("s", name, [name], [table], [Image(b"", name, name)], [AudioGroup(name, [])])
    page = render(name, name, [section])
    page.encode("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not [character for character in page if character < " " and character != "\n"]
    assert "\u202e" not in page
    for text in ("\\x1b[2J", "\\u202eevil", "\\xff", "שלום", "🎹", "a&amp;b"):
        assert text in page
