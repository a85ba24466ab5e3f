"""Test that sides follow the generator of the mid within limits, and that silence stays."""

import pytest
import torch
from torch import Tensor

from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.translation.pipeline import Pipeline
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.vocoders import VocoderInput
from tests.translation.stand_ins import FunctionGenerator, pair


class IdentityVocoder:
    """A vocoder that returns the source and stores the mean generator in dB."""

    def __call__(self, inputs: VocoderInput) -> Tensor:
        assert inputs.source is not None
        assert inputs.source_db is not None
        self.change_db = (inputs.target_db - inputs.source_db).mean()
        assert inputs.source.shape == (1, inputs.n_samples)
        return inputs.source


def run_pipeline(function, parts: Tensor, step: int = 5000) -> tuple[Tensor, float]:
    """Return the translated mid and sides, and the mean generator in dB of the last chunk."""
    mel = pair("hifi", function).mel
    statistics = PieceStatistics(parts.shape[1], -20.0, False, torch.ones(2, 1))
    generator = WindowedGenerator(
        FunctionGenerator(function), mel, 16, statistics, 1.0, False, CorpusNormalisation()
    )
    vocoder = IdentityVocoder()
    pipeline = Pipeline(generator, vocoder, 64, torch.device("cpu"))
    parts_out = [pipeline.push(part) for part in parts.split(step, 1)]
    return torch.cat([*parts_out, pipeline.finish(None, len(parts))], 1), float(vocoder.change_db)


def noise(level: float, n_samples: int = 100 * 512) -> Tensor:
    return level * torch.randn(2, n_samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("rise_db", "side_db"), [(0.0, 0.0), (6.5, 6.5), (26.0, 12.0), (-26.0, -26.0), (-70.0, -60.0)]
)
def test_sides_follow_the_change_up_to_plus_12_and_minus_60_db(rise_db, side_db):
    parts = noise(0.3)
    out, change_db = run_pipeline(lambda mel: mel + rise_db / 65, parts)
    assert change_db == pytest.approx(rise_db, abs=0.1)
    assert out.shape == parts.shape
    torch.testing.assert_close(out[0], parts[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(out[1], parts[1] * 10 ** (side_db / 20), rtol=0, atol=2e-3)


def test_digital_silence_stays_and_the_end_is_padded_to_frames():
    parts = noise(0.3, 40_000)
    parts[:, 15_000:30_000] = 0
    out, _ = run_pipeline(lambda mel: mel + 0.1, parts)
    assert out.shape == (2, 79 * 512)
    assert out[:, 15_000 + 2048 + 64 : 30_000 - 2048 - 64].eq(0).all()
    assert out[:, 40_000 + 2048 :].eq(0).all()
    assert out[1, :12_000].std() == pytest.approx(0.3 * 10 ** (6.5 / 20), rel=0.02)


def test_mono_and_short_pieces():
    parts = noise(0.3, 700)[:1]
    out, _ = run_pipeline(lambda mel: mel, parts)
    assert out.shape == (1, 4 * 512)
    torch.testing.assert_close(out[:, :700], parts, rtol=0, atol=1e-5)
