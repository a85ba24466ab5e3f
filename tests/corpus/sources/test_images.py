"""Tests of spectrogram images as a source."""

from importlib.metadata import version
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from cyclegan_audio.audio.paper_rendering import render_image
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources.images import ImageSource, read_grey_levels
from cyclegan_audio.utils.errors import UserError

SHAPE = (128, 189)
PUBLISHED = Path(__file__).parents[3] / "shared" / "spectrograms"


def render_by_matplotlib(path: Path, levels: np.ndarray) -> None:
    """Render as the paper's published code."""
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.axis("off")
    axes.imshow(levels, cmap="jet", origin="lower", aspect="auto", interpolation_stage="data")
    figure.savefig(path, bbox_inches="tight", pad_inches=0)


@pytest.fixture
def levels():
    """A smooth spectrogram with lines in time and frequency, 0 to 255."""
    rng = np.random.default_rng(0)
    values = (
        rng.uniform(0, 120, SHAPE) + 60 * (np.arange(189) % 20 < 3) + 60 * (np.arange(128) % 9 < 2)[:, None]
    )
    return (values - values.min()) / (values.max() - values.min()) * 255


def test_images_decode_to_their_levels(tmp_path, levels):
    matplotlib.image.imsave(tmp_path / "a.png", render_image(levels))
    decoded = read_grey_levels(tmp_path / "a.png")
    assert decoded.shape == SHAPE
    assert np.abs(decoded - levels).mean() < 0.6
    assert np.abs(decoded - levels).max() < 6


@pytest.mark.skipif(
    tuple(map(int, version("matplotlib").split(".")[:2])) < (3, 11),
    reason="matplotlib 3.9 and 3.10 render other images than the published ones",
)
def test_images_of_matplotlib_decode_to_their_levels(tmp_path, levels):
    render_by_matplotlib(tmp_path / "a.png", levels)
    decoded = read_grey_levels(tmp_path / "a.png")
    assert np.abs(decoded - levels).mean() < 1.5


def test_starts_come_from_names_and_damaged_images_are_rows(tmp_path, levels, settings, paper):
    for genre, title in (("lofi", "Mix to relax [2018]"), ("rnb", "OldRB")):
        (tmp_path / genre / "deep").mkdir(parents=True)
        for start in (0.0, 12.5, 300.0, 304.0):
            name = f"{title}{start}MEL.png"
            matplotlib.image.imsave(
                tmp_path / genre / "deep" / name, render_image(levels[::-1] * (start < 300))
            )
    (tmp_path / "rnb" / "OldRB20.0MEL.png").write_bytes(b"\x89PNG no picture")
    matplotlib.image.imsave(tmp_path / "rnb" / "OldRB24.0MEL.png", np.zeros((369, 496, 3)))
    matplotlib.image.imsave(tmp_path / "rnb" / "OldRB28.0MEL.png", np.zeros((10, 20, 3)))
    noise = np.random.default_rng(0).integers(0, 256, (369, 496))
    matplotlib.image.imsave(tmp_path / "rnb" / "OldRB32.0MEL.png", noise, cmap="jet")
    matplotlib.image.imsave(tmp_path / "rnb" / "OldRB12.5MEL.png", render_image(levels))
    source = ImageSource({genre: tmp_path / genre for genre in ("lofi", "rnb")}, (0.0, 255.0))
    rows = prepare_corpus(source, tmp_path / "out", settings(mel=paper, clip_s=4.0))
    lofi = [row for row in rows if row["genre"] == "lofi"]
    assert [row["start_s"] for row in lofi] == [0.0, 12.5, 300.0, 304.0]
    assert {row["source"] for row in lofi} == {"Mix to relax [2018]"}
    reasons = {row["start_s"]: row["reason"] for row in rows if row["genre"] == "rnb" and not row["kept"]}
    assert "cannot be read as an image" in reasons[20.0]
    assert "colours outside" in reasons[24.0]
    assert "20 x 10 pixels" in reasons[28.0]
    assert "not a spectrogram of 128 x 189" in reasons[32.0]
    assert "same title and start" in reasons[12.5]
    corpus = Corpus.open(tmp_path / "out")
    clips = [clip for split in ("train", "val", "test") for clip in corpus.clips("lofi", split)]
    first = corpus.mel_db(next(clip for clip in clips if clip.start_s < 300))
    assert float((first - torch.from_numpy(levels[::-1].copy())).abs().mean()) < 0.6


def test_unsuitable_folders_are_refused(tmp_path, settings, levels):
    for genre in ("a", "b"):
        (tmp_path / genre).mkdir()
    source = ImageSource({"a": tmp_path / "a", "b": tmp_path / "b"})
    with pytest.raises(UserError, match="has no images"):
        source.files()
    for genre in ("a", "b"):
        matplotlib.image.imsave(tmp_path / genre / "x0.0MEL.png", render_image(levels))
    with pytest.raises(UserError, match="the mel hifi has 128 x 86"):
        prepare_corpus(source, tmp_path / "out", settings())


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the paper's published images are not available")
def test_published_images_equal_published_arrays():
    arrays = np.load(PUBLISHED / "published_mels.npz")
    for genre in ("lofi", "trap", "rnb"):
        (mix,) = ImageSource().genre_files(genre, PUBLISHED / "png" / genre)
        start_s, path = mix.images[3]
        index = arrays[f"{genre}_start_s"].tolist().index(start_s)
        assert np.abs(read_grey_levels(path) - arrays[genre][index]).mean() < 1
