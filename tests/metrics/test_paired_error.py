"""Test the paired error, its baselines and its conclusions on synthetic mels."""

import dataclasses

import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.metrics.paired_error import (
    MATCHED_MEAN,
    MODEL,
    UNTOUCHED,
    audible_floor_db,
    correlation,
    mean_abs_db,
    remove_band_means,
    score_pairs,
)

N_FRAMES = 64
SCORES = [f"score_{i // 2}" for i in range(8)]


@pytest.fixture(params=["hifi", "paper"])
def mel(request: pytest.FixtureRequest) -> MelSpectrogram:
    from omegaconf import OmegaConf

    return MelSpectrogram.from_dict(dict(OmegaConf.load(CONF_DIR / "mel" / f"{request.param}.yaml")))


def clip(seed: int, mel: MelSpectrogram) -> Tensor:
    """(M, F) of audible noise around -10 dB, spread 2."""
    return torch.randn(mel.n_mels, N_FRAMES, generator=torch.Generator().manual_seed(seed)) * 2 - 10


def with_hihats(mel_db: Tensor, mel: MelSpectrogram, first: int) -> Tensor:
    """Add 20 dB above 4 kHz in every eighth frame."""
    out = mel_db.clone()
    out[mel.band_hz > 4000, first::8] += 20
    return out


def test_mean_abs_db_by_hand() -> None:
    assert mean_abs_db(torch.tensor([[1.0, -2.0], [0.0, 4.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])) == 1.5


def test_remove_band_means_removes_equalisation() -> None:
    source = torch.tensor([[0.0, 2.0, 4.0], [-10.0, -16.0, -10.0]])
    assert torch.equal(remove_band_means(source), torch.tensor([[-2.0, 0.0, 2.0], [2.0, -4.0, 2.0]]))
    equalised = source + torch.tensor([[5.0], [-30.0]])
    assert torch.equal(remove_band_means(source), remove_band_means(equalised))


def test_correlation_ignores_scale_but_not_sign() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0]])
    assert correlation(values, 0.1 * values + 7) == pytest.approx(1)
    assert correlation(values, -values) == pytest.approx(-1)
    assert correlation(values, torch.ones(1, 3)) == 0


def test_floor_is_80_db_below_a_full_scale_sine(mel: MelSpectrogram) -> None:
    floor_db = audible_floor_db(mel)
    for band in (20, 60, 100):
        sine = torch.sin(2 * torch.pi * mel.band_hz[band] * torch.arange(mel.sample_rate) / mel.sample_rate)
        reading = mel.mel_db(sine[None])[0, band, 20]
        assert float(reading - floor_db[band]) == pytest.approx(80, abs=1)


def test_floor_is_80_db_below_the_highest_reading_of_a_sine(mel: MelSpectrogram) -> None:
    for band in (20, 60):
        bins = mel.filter_bank()[band].nonzero()[:, 0]
        hz = torch.cat([bins - 1, bins, bins + 1]).unique() * mel.sample_rate / mel.n_fft
        sines = torch.sin(2 * torch.pi * hz[:, None] * torch.arange(mel.sample_rate // 4) / mel.sample_rate)
        highest_db = mel.mel_db(sines)[:, band, 5].max()
        assert float(highest_db - audible_floor_db(mel)[band]) == pytest.approx(80, abs=0.05)


def test_inaudible_differences_do_not_count(mel: MelSpectrogram) -> None:
    floor_db = audible_floor_db(mel).expand(-1, N_FRAMES)
    triple = (floor_db - 1, floor_db - 5, floor_db - 20)
    zero = torch.zeros(mel.n_mels)
    scores = score_pairs([triple], ["s"], (zero, zero), mel)
    assert scores.error_db[MODEL].mean == scores.error_db[UNTOUCHED].mean == 0


def test_errors_and_gains_by_hand(mel: MelSpectrogram) -> None:
    base = torch.zeros(mel.n_mels, N_FRAMES)
    triples = [(base, base + 3, base + 4), (base, base + 2, base + 4)] * 2
    means = (torch.zeros(mel.n_mels), torch.full((mel.n_mels,), 2.5))
    scores = score_pairs(triples, ["s1", "s2", "s3", "s4"], means, mel)
    errors = {name: value.mean for name, value in scores.error_db.items()}
    assert errors == pytest.approx({MODEL: 1.5, UNTOUCHED: 4.0, MATCHED_MEAN: 1.5})
    assert scores.gain_db[UNTOUCHED].mean == pytest.approx(2.5)
    assert scores.gain_db[MATCHED_MEAN].mean == pytest.approx(0)
    assert scores.relative_gain == pytest.approx(2.5 / 4)
    assert scores.beats_untouched
    assert all(value.mean == 0 for value in scores.rhythm_db.values())


def scores_of(mel: MelSpectrogram, model: str) -> object:
    """Score a model on targets with additional hi-hats and 6 dB everywhere."""
    triples = []
    for seed in range(8):
        source = clip(seed, mel)
        truth = with_hihats(source, mel, seed % 4) + 6
        fakes = {
            "equaliser": truth.mean(1, keepdim=True) - source.mean(1, keepdim=True) + source,
            "hihats": with_hihats(source, mel, seed % 4) + 5,
            "hihats in the wrong place": with_hihats(source, mel, seed % 4 + 4) + 5,
            "nothing": source.clone(),
        }
        triples.append((source, fakes[model], truth))
    means = tuple(torch.stack([triple[i] for triple in triples]).mean((0, 2)) for i in (0, 2))
    return score_pairs(triples, SCORES, means, mel)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "beats_untouched", "beats_filter"),
    [
        ("equaliser", True, False),
        ("hihats", True, True),
        ("hihats in the wrong place", True, False),
        ("nothing", False, False),
    ],
)
def test_beats_untouched_and_beats_filter(
    mel: MelSpectrogram, model: str, beats_untouched: bool, beats_filter: bool
) -> None:
    scores = scores_of(mel, model)
    assert (scores.beats_untouched, scores.beats_filter) == (beats_untouched, beats_filter)


def test_rhythm_correlation_does_not_rise_for_flatter_mels(mel: MelSpectrogram) -> None:
    hihats, equaliser = scores_of(mel, "hihats"), scores_of(mel, "equaliser")
    assert hihats.rhythm_correlation[MODEL].mean > 0.99
    assert equaliser.rhythm_correlation[MODEL].mean == pytest.approx(
        equaliser.rhythm_correlation[MATCHED_MEAN].mean, abs=1e-3
    )


def test_a_small_but_certain_gain_does_not_beat_untouched(mel: MelSpectrogram) -> None:
    base = torch.zeros(mel.n_mels, N_FRAMES)
    zero = torch.zeros(mel.n_mels)
    scores = score_pairs([(base, base + 0.5, base + 10)] * 4, ["a", "b", "c", "d"], (zero, zero), mel)
    assert scores.gain_db[UNTOUCHED].above_zero
    assert not scores.beats_untouched


@pytest.mark.parametrize(("gain_db", "clear"), [(0.9, False), (1.1, True)])
def test_beats_untouched_from_a_tenth_of_the_error(mel: MelSpectrogram, gain_db: float, clear: bool) -> None:
    base = torch.zeros(mel.n_mels, N_FRAMES)
    zero = torch.zeros(mel.n_mels)
    triple = (base, base + gain_db, base + 10)
    scores = score_pairs([triple] * 4, ["a", "b", "c", "d"], (zero, zero), mel)
    assert scores.relative_gain == pytest.approx(gain_db / 10, abs=1e-5)
    assert scores.beats_untouched is clear


def test_relative_gain_of_small_errors_by_hand(mel: MelSpectrogram) -> None:
    base = torch.zeros(mel.n_mels, N_FRAMES)
    zero = torch.zeros(mel.n_mels)
    scores = score_pairs([(base, base + 0.3, base + 0.4)] * 2, ["a", "b"], (zero, zero), mel)
    assert scores.relative_gain == pytest.approx(0.75, abs=1e-5)


def test_relative_gain_is_zero_if_the_source_is_the_target(mel: MelSpectrogram) -> None:
    base = torch.zeros(mel.n_mels, N_FRAMES)
    zero = torch.zeros(mel.n_mels)
    scores = score_pairs([(base, base + 1, base)] * 2, ["a", "b"], (zero, zero), mel)
    assert scores.relative_gain == 0
    assert scores.gain_db[UNTOUCHED].mean == -1
    assert not scores.beats_untouched


def test_to_dict_has_plain_values(mel: MelSpectrogram) -> None:
    base = torch.zeros(mel.n_mels, N_FRAMES)
    zero = torch.zeros(mel.n_mels)
    numbers = score_pairs([(base, base, base)], ["only"], (zero, zero), mel).to_dict()
    assert numbers["error_db"][MODEL] == {
        "mean": 0.0,
        "sd": None,
        "low": None,
        "high": None,
        "n": 1,
        "groups": 1,
    }
    assert numbers["beats_untouched"] is False


def test_score_pairs_raises_without_bands_above_4_khz(mel: MelSpectrogram) -> None:
    low = dataclasses.replace(mel, sample_rate=6000, f_max_hz=3000.0)
    base = torch.zeros(low.n_mels, 8)
    with pytest.raises(ValueError, match="4000 Hz"):
        score_pairs([(base, base, base)], ["s"], (base[:, 0], base[:, 0]), low)
