"""Seam energy, computed with the windows, overlap and statistics of `translate`."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.artefacts import seam_db
from cyclegan_audio.reports.evaluation.seams import NO_BORDERS, seam_energy, seams_section, translated_change
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.vocoders import VocoderInput
from tests.translation.stand_ins import FunctionGenerator, InstanceNormGenerator

WINDOW = 16


def rising() -> FunctionGenerator:
    """A generator that adds what rises within a window, so that windows do not agree where they meet."""
    return FunctionGenerator(lambda mel: mel + 0.5 * torch.linspace(0, 1, mel.shape[-1]).square())


class Recorder:
    """A vocoder that records the mels it receives."""

    def __init__(self) -> None:
        self.changes_db: list[Tensor] = []

    def check(self, mel: MelSpectrogram) -> None:
        """Take any mel."""

    def __call__(self, inputs: VocoderInput) -> Tensor:
        assert inputs.source is not None
        assert inputs.source_db is not None
        self.changes_db.append((inputs.target_db - inputs.source_db)[0])
        return inputs.source


def pair(mel: MelSpectrogram, generator: nn.Module, window: int = WINDOW) -> TranslationModel:
    generator.register_parameter("unused", nn.Parameter(torch.zeros(())))  # sets the device
    return TranslationModel(("dull", "bright"), mel, {"ab": generator, "ba": generator}, window, {})


def evaluated(corpus: Corpus, generator: nn.Module, window: int = WINDOW) -> EvaluationData:
    direction = DirectionResult("dull", "bright", [], [], (torch.zeros(1), torch.zeros(1)))
    return EvaluationData(
        "run", corpus.folder, None, pair(corpus.mel, generator, window), corpus, [direction]
    )


@pytest.mark.parametrize(
    ("generator", "hop", "overlap"),
    [(rising, 3 * WINDOW // 4, WINDOW // 4), (InstanceNormGenerator, 4 * WINDOW - WINDOW // 8, WINDOW // 8)],
)
def test_change_equals_that_of_translate(
    corpus: Corpus, generator: Callable[[], nn.Module], hop: int, overlap: int
) -> None:
    waveform = torch.cat([corpus.audio(clip) for clip in corpus.clips("dull", "test")[:2]])
    recorder = Recorder()
    translator = Translator(pair(corpus.mel, generator()), recorder)
    translator(waveform.numpy(), corpus.mel.sample_rate, "bright")
    assert len(recorder.changes_db) == 1  # one chunk of sound
    change_db, borders = translated_change(translator, waveform, "bright")
    torch.testing.assert_close(change_db, recorder.changes_db[0], rtol=0, atol=1e-3)
    assert borders[:4] == [hop, hop + overlap, 2 * hop, 2 * hop + overlap]
    assert borders[-1] < change_db.shape[1]


def test_disagreeing_windows_raise_seam_energy(corpus: Corpus) -> None:
    data = evaluated(corpus, rising())
    value = seam_energy(data.directions[0], data)
    assert value is not None
    assert value.mean > 3
    assert (value.n, value.groups) == (1, 1)


def test_single_window_has_no_borders(corpus: Corpus) -> None:
    section = seams_section(evaluated(corpus, rising(), window=344))
    assert section.numbers == {"dull to bright": None}
    assert section.tables[0].rows == [["dull to bright", NO_BORDERS, "0"]]


def test_silence_has_no_seam(corpus: Corpus) -> None:
    translator = Translator(pair(corpus.mel, rising()))
    change_db, borders = translated_change(translator, torch.zeros(8 * corpus.mel.sample_rate), "bright")
    assert not change_db.any()
    assert math.isnan(seam_db(change_db, borders))
