"""Test figures: axes in Hz and s, colours in dB, positions of curves, and visible content."""

import io

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from matplotlib.figure import Figure
from matplotlib.image import imread

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.reports.figures import cycle_grid, loss_curves
from cyclegan_audio.reports.figures.distributions import histograms, mean_spectra, probability_histogram
from cyclegan_audio.reports.figures.relative_bars import forest_plot, relative_bars
from cyclegan_audio.reports.figures.spectrograms import ClipRow, contact_sheet, mel_image


@pytest.fixture
def mel() -> MelSpectrogram:
    from omegaconf import OmegaConf

    return instantiate(OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml"))


def pixels(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return imread(buffer)[:, :, :3]


def test_mel_image_has_common_colours_and_low_bands_below():
    quiet, loud = torch.full((4, 3), -40.0), torch.full((4, 2), 0.0)
    quiet[0] = 0.0  # the lowest band
    image = mel_image([quiet, loud])
    assert (image.shape, image.dtype) == ((4, 5, 3), np.uint8)
    bright, dark = image[0, 3], image[0, 0]
    assert (image[:, 3:] == bright).all()
    assert (image[3, :3] == bright).all()  # below
    assert (image[:3, :3] == dark).all()
    assert bright.sum() > dark.sum()


def ramp(n_frames: int = 86) -> torch.Tensor:
    """Return (128, F) rising by band from -100 to 27 dB."""
    return torch.arange(128.0)[:, None].expand(-1, n_frames) - 100


def test_cycle_grid_axes_are_in_hz_and_seconds(mel: MelSpectrogram) -> None:
    figure = cycle_grid([{"real": ramp(), "fake": ramp()}, {"real": ramp(), "fake": ramp()}], mel, "a to b")
    pixels(figure)  # rendering sets the ticks
    panels = figure.axes[:4]
    assert [ax.get_title() for ax in panels] == ["real", "fake", "", ""]
    assert panels[0].get_ylabel() == panels[2].get_ylabel() == "Frequency (Hz)"
    assert panels[2].get_xlabel() == panels[3].get_xlabel() == "Time (s)"
    assert panels[0].get_xlim() == pytest.approx((0, 86 * 512 / 44100))
    assert figure.axes[4].get_ylabel() == "Level (dB)"
    assert figure.get_suptitle() == "a to b"


def test_ticks_are_at_their_bands(mel: MelSpectrogram) -> None:
    ax = cycle_grid([{"real": ramp()}], mel).axes[0]
    image = {
        int(label.get_text()): position
        for label, position in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    }
    assert {100, 1000, 10000} <= set(image)
    for hz, position in image.items():
        below, above = mel.band_hz[int(np.floor(position))], mel.band_hz[int(np.ceil(position))]
        assert below - 1 <= hz <= above + 1


def test_cycle_grid_shows_the_loudest_80_db_in_common_colours(mel: MelSpectrogram) -> None:
    figure = cycle_grid([{"loud": ramp(), "quiet": ramp() - 50}], mel)
    limits = [ax.images[0].get_clim() for ax in figure.axes[:2]]
    assert limits[0] == limits[1] == pytest.approx((-53, 27), abs=0.5)
    image = pixels(figure)
    half = image.shape[1] // 2
    assert image[:, :half].std() > 0.1
    assert image[:, :half].mean() > image[:, half:-200].mean()  # the louder panel is brighter


def test_cycle_grid_draws_low_bands_at_the_bottom(mel: MelSpectrogram) -> None:
    image = cycle_grid([{"real": ramp()}], mel).axes[0].images[0]
    assert image.origin == "lower"
    assert image.get_array()[0, 0] == -100


def test_cycle_grid_labels_rows_and_draws_silence(mel: MelSpectrogram) -> None:
    figure = cycle_grid([{"real": torch.full((128, 9), -100.0)}], mel, row_labels=["clip 1"])
    assert pixels(figure).std() > 0
    assert figure.axes[0].get_ylabel() == "clip 1\nFrequency (Hz)"


def test_cycle_grid_raises_for_no_rows_and_other_columns(mel: MelSpectrogram) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        cycle_grid([], mel)
    with pytest.raises(ValueError, match="same columns"):
        cycle_grid([{"real": ramp()}, {"fake": ramp()}], mel)


def test_losses_of_one_term_share_a_panel() -> None:
    columns = {"gen_total": [3.0, 2.0], "cycle_a": [2.0, 1.0], "cycle_b": [2.0, 1.5]}
    terms = {"gen_total": "gen", "cycle_a": "cycle", "cycle_b": "cycle"}
    figure = loss_curves(columns, [50, 100], terms=terms)
    assert [ax.get_title() for ax in figure.axes] == ["gen total", "cycle"]
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["cycle_a", "cycle_b"]
    assert figure.axes[0].get_xlabel() == "Batches"
    assert list(figure.axes[0].lines[0].get_xdata()) == [50, 100]
    assert pixels(figure).std() > 0.05


def test_loss_curves_are_smoothed_and_have_gaps() -> None:
    values = [1.0, 3.0] * 100
    values[100] = float("nan")
    raw, smooth = loss_curves({"cycle_a": values}).axes[0].lines
    assert np.isnan(raw.get_ydata()[100])
    assert np.std(smooth.get_ydata()[10:90]) < 0.5 * np.nanstd(raw.get_ydata())
    assert smooth.get_ydata()[50] == pytest.approx(2.0, abs=0.3)  # five values: 1 3 1 3 1
    assert np.isfinite(smooth.get_ydata()[100])


def test_loss_curves_raise_for_no_losses_and_other_lengths() -> None:
    with pytest.raises(ValueError, match="at least one loss"):
        loss_curves({})
    with pytest.raises(ValueError, match="got 2 values and 1 x coordinates"):
        loss_curves({"cycle_a": [1.0, 2.0]}, [1])


def test_relative_bars_show_values_between_floor_and_ceiling() -> None:
    figure = relative_bars({"onsets": (0.5, 0.4, 0.6), "far off": (9.0, 8.0, 10.0)}, "a to b")
    ax = figure.axes[0]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([50, 160])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["onsets", "far off"]
    with pytest.raises(ValueError, match="at least one"):
        relative_bars({})


def test_probability_histogram_shows_percentages_of_each_group() -> None:
    figure = probability_histogram({"real": [0.01, 0.02], "fake": [0.99] * 3 + [0.5]}, "t", "p")
    heights = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [float(h.sum()) for h in heights] == pytest.approx([100, 100])
    assert heights[1][-1] == pytest.approx(75)
    with pytest.raises(ValueError, match="values"):
        probability_histogram({"real": []}, "t", "p")


def test_contact_sheet_has_common_colours_and_gaps(mel: MelSpectrogram) -> None:
    rows = [ClipRow("$lofi$", [ramp(50), ramp(50) - 50], ["1", "$2$"]), ClipRow("trap", [ramp(50)], ["3"])]
    figure = contact_sheet(rows, mel)
    assert pixels(figure).std() > 0.1
    first, second, bar = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["$lofi$", "trap", "Level (dB)"]
    assert [text.get_text() for text in first.get_xticklabels()] == ["1", "$2$"]
    image = first.images[0].get_array()
    assert image.shape == second.images[0].get_array().shape == (128, 50 + 2 + 50)
    assert (image[:, 52] - image[:, 0]).tolist() == [-50] * 128
    assert image.mask[:, 50:52].all()
    assert second.images[0].get_array().mask[:, 50:].all()
    assert first.images[0].get_clim() == second.images[0].get_clim() == pytest.approx((-53, 27), abs=0.5)
    assert bar.get_position().y1 == pytest.approx(first.get_position().y1)
    with pytest.raises(ValueError, match="at least one clip"):
        contact_sheet([], mel)
    with pytest.raises(ValueError, match="one label per clip"):
        contact_sheet([ClipRow("", [ramp()], [])], mel)


def test_histograms_have_common_edges_and_medians() -> None:
    groups = {"lofi": [1.0, 2.0, 2.0], "trap": [5.0], "rnb": [3.0], "$jazz$": [4.0]}
    (ax,) = histograms({"Loudness": groups}, "% of clips").axes
    heights = [patch.get_data() for patch in ax.patches]
    assert [float(data.values.sum()) for data in heights] == pytest.approx([100] * 4)
    assert all(np.array_equal(data.edges, heights[0].edges) for data in heights)
    assert [line.get_xdata()[0] for line in ax.lines] == [2, 5, 3, 4]
    line_styles = {(line.get_color(), line.get_linestyle()) for line in ax.lines}
    assert len(line_styles) == 4  # the fourth genre reuses the first colour in another style
    with pytest.raises(ValueError, match="values for every genre"):
        histograms({"Loudness": {"lofi": []}}, "% of clips")


def test_mean_spectra_are_at_their_bands(mel: MelSpectrogram) -> None:
    mean = np.linspace(0, -60, 128)
    figure = mean_spectra({"lofi": np.stack([mean, mean - 5, mean + 5])}, mel)
    ax = figure.axes[0]
    assert np.array_equal(ax.lines[0].get_ydata(), mean)
    assert ax.collections[0].get_paths()[0].get_extents().y1 == pytest.approx(5)
    assert "1000" in [text.get_text() for text in ax.get_xticklabels()]
    assert pixels(figure).std() > 0.05
    with pytest.raises(ValueError, match="at least one genre"):
        mean_spectra({}, mel)


def test_forest_plot_shows_differences_in_their_colours() -> None:
    values = {"onsets": ((0.2, 0.1, 0.3), "better"), "far off": ((-9.0, -10.0, -8.0), "unknown")}
    ax = forest_plot(values, "a to b", {"better": "#0072b2"}).axes[0]
    assert [line.get_xdata()[0] for line in ax.lines] == [20, -150, 0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["onsets", "far off"]
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    with pytest.raises(ValueError, match="at least one"):
        forest_plot({}, "", {})
