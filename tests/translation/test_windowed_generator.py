"""Test the change in dB, the generator's input, and the length and number of windows."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.models.networks.norm import collect_statistics
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import FunctionGenerator, InstanceNormGenerator, pair, quieter

SIGNS = torch.ones(1, 1)


def windowed_generator(
    function: Callable[[Tensor], Tensor] = quieter,
    preset: str = "hifi",
    amount: float = 1.0,
    normalisation: CorpusNormalisation | None = None,
    bf16: bool = False,
    **statistics,
) -> WindowedGenerator:
    """Return a generator on windows of 8 frames whose lengths must be multiples of 4."""
    mel = pair(preset, function).mel
    piece = PieceStatistics(1000, -20.0, False, SIGNS, **statistics)
    return WindowedGenerator(
        FunctionGenerator(function), mel, 8, piece, amount, bf16, normalisation or CorpusNormalisation()
    )


def test_change_is_scaled_to_decibels():
    """A tenth of [-1, 1] is 6.5 dB of the 130 from -100 to 30."""
    windows_db = torch.full((2, 128, 8), -40.0)
    for amount, expected in ((1.0, -6.5), (0.5, -3.25), (0.0, 0.0)):
        actual = windowed_generator(amount=amount)(windows_db)
        torch.testing.assert_close(actual, torch.full((2, 128, 8), expected), rtol=0, atol=1e-4)
    narrow = windowed_generator(range_db=(-60.0, -20.0))(windows_db)
    torch.testing.assert_close(narrow, torch.full((2, 128, 8), -2.0), rtol=0, atol=1e-4)
    with pytest.raises(UserError, match="not finite"):
        windowed_generator(lambda x: x * torch.nan)(windows_db)


def test_add_change_keeps_digital_silence():
    source_db = torch.tensor([[-100.0, -99.99, -40.0], [-100.0, -100.0, -99.0]])
    actual = windowed_generator().add_change(source_db, torch.full((2, 3), -5.0))
    torch.testing.assert_close(actual, torch.tensor([[-100.0, -100.0, -45.0], [-100.0, -100.0, -100.0]]))
    louder = windowed_generator().add_change(source_db, torch.full((2, 3), 5.0))
    torch.testing.assert_close(louder, torch.tensor([[-100.0, -94.99, -35.0], [-100.0, -95.0, -94.0]]))


def test_input_is_normalised_and_bands_above_the_cutoff_are_masked():
    inputs: list[Tensor] = []
    normalisation = CorpusNormalisation(loudness_lufs=-14.0, cutoff_hz=2000.0)
    generator = windowed_generator(
        lambda x: inputs.append(x) or x.clone(), normalisation=normalisation, mid_lufs=-20.0
    )
    generator(torch.full((1, 128, 8), -41.0))
    above = generator.mel.band_hz > 2000
    assert inputs[0][0, 0, above].unique().tolist() == [-1]
    torch.testing.assert_close(inputs[0][0, 0, ~above].unique(), torch.tensor([0.0]), rtol=0, atol=1e-6)
    generator = windowed_generator(lambda x: x + 0.1, normalisation=normalisation)
    actual = generator(torch.full((1, 128, 8), -41.0))[0]
    assert actual[above].eq(0).all()
    torch.testing.assert_close(actual[~above], torch.full_like(actual[~above], 6.5), rtol=0, atol=1e-4)


def test_unknown_range_follows_the_levels_so_far_without_silence():
    generator = windowed_generator(lambda x: x, "paper")
    mel = generator.mel
    assert generator.range_db == (mel.min_db, mel.max_db)
    loud = torch.full((1, 128, 8), -30.0)
    loud[0, :64] = -10.0
    loud[0, :, 7] = -100.0  # digital silence
    generator(loud)
    assert generator.range_db == (-30, -10)
    quiet = torch.full((1, 128, 8), -50.0)
    quiet[0, :64] = -20.0
    generator(quiet)
    assert generator.range_db == (-50, -10)
    generator(torch.full((1, 128, 8), -100.0))
    generator(loud)
    assert generator.range_db == (-50, -10)
    known = windowed_generator(lambda x: x, "paper", range_db=(-45.0, -15.0))
    known(loud)
    assert known.range_db == (-45, -15)
    fixed = windowed_generator(lambda x: x)
    fixed(loud)
    assert fixed.range_db == (-100, 30)


def test_windows_with_their_own_statistics_overlap_by_a_quarter():
    generator = windowed_generator()
    stream = generator.stream()
    assert (generator.stream_window, stream.window, stream.overlap, stream.batch, stream.multiple) == (
        8,
        8,
        2,
        1,
        None,
    )
    assert generator.stream(on_gpu=True).batch == 16


def test_windows_with_shared_statistics_are_longer_and_overlap_less():
    network = InstanceNormGenerator()
    statistics = collect_statistics(network, [torch.rand(1, 1, 128, 8)])
    piece = PieceStatistics(1000, -20.0, False, SIGNS, norm_statistics=statistics)
    generator = WindowedGenerator(
        network, pair("hifi", quieter).mel, 8, piece, 1.0, False, CorpusNormalisation()
    )
    stream = generator.stream(workers=3)
    assert generator.stream_window == stream.window == 32
    assert (stream.overlap, stream.batch, stream.multiple, stream.workers) == (1, 3, 4, 3)
    assert generator.stream(on_gpu=True).batch == 4
    assert generator.stream().batch == 1
    assert generator.generator.norm.fixed is not None
    assert network.norm.fixed is None


@pytest.mark.parametrize(("n_frames", "length"), [(3, 8), (8, 8), (9, 12), (12, 12)])
def test_short_piece_is_one_window_of_its_audible_frames(n_frames, length):
    """Sixteen frames in all, as many as the shortest window has."""
    inputs: list[Tensor] = []
    generator = windowed_generator(lambda x: inputs.append(x) or x - 0.1, is_single_window=True)
    assert generator.stream_window == 12 * 8
    mel_db = torch.full((128, 16), -40.0)
    mel_db[:, 1 : 17 - n_frames] = -100.0
    actual = generator.stream().push(mel_db, last=True)
    (window,) = inputs
    assert window.shape == (1, 1, 128, length)
    assert window.min() > -1  # none of the silence
    expected = torch.full((128, 16), -6.5)
    expected[:, 1 : 17 - n_frames] = 0
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)
    silent = torch.full((128, 20), -100.0)
    assert windowed_generator(is_single_window=True).stream().push(silent, last=True).eq(0).all()


@pytest.mark.parametrize("bf16", [False, True])
def test_generator_runs_in_the_given_precision(bf16):
    enabled: list[bool] = []
    windowed_generator(lambda x: enabled.append(torch.is_autocast_enabled("cpu")) or x, bf16=bf16)(
        torch.zeros(1, 128, 8)
    )
    assert enabled == [bf16]
