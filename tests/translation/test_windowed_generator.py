"""What a generator changes in dB, what it is given, and windows of which length and how many at once."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.models.networks.norm import collect_statistics
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.utils.errors import UserError
from tests.translation.stand_ins import Change, Normed, pair, quieter

SIGNS = torch.ones(1, 1)


def change_of(
    function: Callable[[Tensor], Tensor] = quieter,
    preset: str = "hifi",
    amount: float = 1.0,
    match: CorpusNormalisation | None = None,
    bf16: bool = False,
    **survey,
) -> WindowedGenerator:
    """Of windows of 8 frames, by a generator that takes multiples of 4."""
    mel = pair(preset, function).mel
    piece = PieceStatistics(1000, -20.0, False, SIGNS, **survey)
    return WindowedGenerator(Change(function), mel, 8, piece, amount, bf16, match or CorpusNormalisation())


def test_a_change_on_the_scale_becomes_one_in_decibels():
    """A tenth of [-1, 1] is 6.5 dB of the 130 from -100 to 30."""
    windows_db = torch.full((2, 128, 8), -40.0)
    for amount, expected in ((1.0, -6.5), (0.5, -3.25), (0.0, 0.0)):
        actual = change_of(amount=amount)(windows_db)
        torch.testing.assert_close(actual, torch.full((2, 128, 8), expected), rtol=0, atol=1e-4)
    narrow = change_of(range_db=(-60.0, -20.0))(windows_db)
    torch.testing.assert_close(narrow, torch.full((2, 128, 8), -2.0), rtol=0, atol=1e-4)
    with pytest.raises(UserError, match="not finite"):
        change_of(lambda x: x * torch.nan)(windows_db)


def test_a_change_is_added_and_leaves_digital_silence():
    source_db = torch.tensor([[-100.0, -99.99, -40.0], [-100.0, -100.0, -99.0]])
    actual = change_of().apply(source_db, torch.full((2, 3), -5.0))
    torch.testing.assert_close(actual, torch.tensor([[-100.0, -100.0, -45.0], [-100.0, -100.0, -100.0]]))
    louder = change_of().apply(source_db, torch.full((2, 3), 5.0))
    torch.testing.assert_close(louder, torch.tensor([[-100.0, -94.99, -35.0], [-100.0, -95.0, -94.0]]))


def test_the_generator_gets_the_matched_level_without_the_bands_above():
    inputs: list[Tensor] = []
    match = CorpusNormalisation(loudness_lufs=-14.0, cutoff_hz=2000.0)
    change = change_of(lambda x: inputs.append(x) or x.clone(), match=match, mid_lufs=-20.0)
    change(torch.full((1, 128, 8), -41.0))
    above = change.mel.band_hz > 2000
    assert inputs[0][0, 0, above].unique().tolist() == [-1]
    torch.testing.assert_close(inputs[0][0, 0, ~above].unique(), torch.tensor([0.0]), rtol=0, atol=1e-6)
    change = change_of(lambda x: x + 0.1, match=match)
    actual = change(torch.full((1, 128, 8), -41.0))[0]
    assert actual[above].eq(0).all()
    torch.testing.assert_close(actual[~above], torch.full_like(actual[~above], 6.5), rtol=0, atol=1e-4)


def test_a_range_that_nobody_knows_follows_what_was_heard_and_ignores_silence():
    change = change_of(lambda x: x, "paper")
    mel = change.mel
    assert change.range_db == (mel.min_db, mel.max_db)
    loud = torch.full((1, 128, 8), -30.0)
    loud[0, :64] = -10.0
    loud[0, :, 7] = -100.0  # digital silence
    change(loud)
    assert change.range_db == (-30, -10)
    quiet = torch.full((1, 128, 8), -50.0)
    quiet[0, :64] = -20.0
    change(quiet)
    assert change.range_db == (-50, -10)
    change(torch.full((1, 128, 8), -100.0))
    change(loud)
    assert change.range_db == (-50, -10)
    known = change_of(lambda x: x, "paper", range_db=(-45.0, -15.0))
    known(loud)
    assert known.range_db == (-45, -15)
    fixed = change_of(lambda x: x)
    fixed(loud)
    assert fixed.range_db == (-100, 30)


def test_windows_alone_share_a_quarter_and_are_sixteen_at_once_on_a_gpu():
    change = change_of()
    stream = change.stream()
    assert (change.length, stream.window, stream.overlap, stream.batch, stream.multiple) == (8, 8, 2, 1, None)
    assert change.stream(on_gpu=True).batch == 16


def test_windows_with_the_statistics_of_the_piece_are_longer_and_share_less():
    network = Normed()
    statistics = collect_statistics(network, [torch.rand(1, 1, 128, 8)])
    survey = PieceStatistics(1000, -20.0, False, SIGNS, statistics=statistics)
    change = WindowedGenerator(
        network, pair("hifi", quieter).mel, 8, survey, 1.0, False, CorpusNormalisation()
    )
    stream = change.stream(workers=3)
    assert change.length == stream.window == 32
    assert (stream.overlap, stream.batch, stream.multiple, stream.workers) == (1, 3, 4, 3)
    assert change.stream(on_gpu=True).batch == 4
    assert change.stream().batch == 1
    assert change.generator.norm.fixed is not None
    assert network.norm.fixed is None


@pytest.mark.parametrize(("n_frames", "heard"), [(3, 8), (8, 8), (9, 12), (12, 12)])
def test_a_short_piece_is_one_window_of_what_sounds(n_frames, heard):
    """Sixteen frames in all, as many as the shortest window has."""
    inputs: list[Tensor] = []
    change = change_of(lambda x: inputs.append(x) or x - 0.1, is_short=True)
    assert change.length == 12 * 8
    whole_db = torch.full((128, 16), -40.0)
    whole_db[:, 1 : 17 - n_frames] = -100.0
    actual = change.stream().push(whole_db, last=True)
    (window,) = inputs
    assert window.shape == (1, 1, 128, heard)
    assert window.min() > -1  # none of the silence
    expected = torch.full((128, 16), -6.5)
    expected[:, 1 : 17 - n_frames] = 0
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)
    silent = torch.full((128, 20), -100.0)
    assert change_of(is_short=True).stream().push(silent, last=True).eq(0).all()


@pytest.mark.parametrize("bf16", [False, True])
def test_the_generator_runs_in_the_wanted_precision(bf16):
    enabled: list[bool] = []
    change_of(lambda x: enabled.append(torch.is_autocast_enabled("cpu")) or x, bf16=bf16)(
        torch.zeros(1, 128, 8)
    )
    assert enabled == [bf16]
