"""The sounds of a listening test: held-out clips by each system, equally loud."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.listening.questions import (
    EQUALISER,
    LOW_PASSED,
    OTHER,
    REAL,
    SOURCE,
    VOCODER,
)
from cyclegan_audio.metrics.baselines import BandMoments, match_moments
from cyclegan_audio.reports.evaluation.audio_examples import voiced
from cyclegan_audio.reports.evaluation.scoring import another
from cyclegan_audio.reports.evaluation.translations import held_out, spread, through
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import Vocoder

LOW_PASS_HZ = 3500.0  # the low anchor of BS.1534-3
LOW_PASS_ORDER = 8
LOUDNESS_LUFS = -23.0
HIGHEST_PEAK = 10 ** (-1 / 20)
FADE_S = 0.01  # at both ends, where sounds repeat
TRAINING_CLIPS = 100  # a genre, for the equaliser
EXAMPLES_SHOWN = 2


@dataclasses.dataclass(frozen=True)
class Item:
    """One held-out clip by every system.

    Attributes:
        source, target: genres.
        name: where the clip comes from.
        sounds: by system (T,).
        examples: real clips of the target genre (T,).
    """

    source: str
    target: str
    name: str
    sounds: dict[str, Tensor]
    examples: list[Tensor]

    @property
    def way(self) -> str:
        """`lofi to trap`."""
        return f"{self.source} to {self.target}"


@torch.inference_mode()
def items(
    runs: dict[str, TranslationModel], corpus: Corpus, source: str, n_items: int, vocoder: Vocoder
) -> Iterable[Item]:
    """Clips of genre `source`, spread evenly over the held-out ones, by each run and each baseline.

    Args:
        runs: by name; all of the same genres and mel.
        corpus: without clips that a run was trained on, as it lies on disk.
        source: the genre to translate from.
        n_items: at most so many.
        vocoder: the way back to sound.

    Raises:
        UserError: no held-out clips, or no audio of them.
    """
    pair = next(iter(runs.values()))
    target = next(genre for genre in pair.genres if genre != source)
    clips = held_out(corpus, source, n_items)
    others = held_out(corpus, target, len(clips) + EXAMPLES_SHOWN)
    real, examples = others[:-EXAMPLES_SHOWN] or others, others[-EXAMPLES_SHOWN:]
    moments = {genre: _moments(corpus, genre) for genre in pair.genres}
    rows = another(clips)
    for number, clip in enumerate(clips):
        heard, real_db = corpus.audio(clip), corpus.mel_db(clip)
        made_db = {name: _translated(run, corpus, clip) for name, run in runs.items()}
        made_db[EQUALISER] = match_moments(real_db[None], moments[source], moments[target])[0]
        made_db[VOCODER] = real_db
        sounds = {
            name: voiced(vocoder, mel_db, corpus.mel, heard, real_db) for name, mel_db in made_db.items()
        }
        sounds |= {
            SOURCE: heard,
            LOW_PASSED: low_passed(heard, corpus.mel.sample_rate),
            OTHER: corpus.audio(clips[rows[number]]),
            REAL: corpus.audio(real[number % len(real)]),
        }
        name = f"{clip.source} at {clip.start_s:g} s"
        yield Item(source, target, name, sounds, [corpus.audio(example) for example in examples])


def _translated(pair: TranslationModel, corpus: Corpus, clip: Clip) -> Tensor:
    matched = corpus.normalised(CorpusNormalisation.from_dict(pair.normalisation))
    real_db = matched.mel_db(clip)
    to = next(genre for genre in pair.genres if genre != clip.genre)
    return through(pair, matched, to, real_db)


def _moments(corpus: Corpus, genre: str) -> BandMoments:
    clips = spread(corpus.clips(genre, "train"), TRAINING_CLIPS)
    if not clips:
        raise UserError(f"{corpus.folder} holds no training clips of {genre}; prepare it again")
    return BandMoments.of(torch.stack([corpus.mel_db(clip) for clip in clips]))


def low_passed(waveform: Tensor, rate: int) -> Tensor:
    """(T,) without what lies above 3.5 kHz, by a Butterworth filter of order 8 there and back."""
    from scipy.signal import butter, sosfiltfilt

    filtered = sosfiltfilt(
        butter(LOW_PASS_ORDER, LOW_PASS_HZ, fs=rate, output="sos"), waveform.double().numpy()
    )
    return torch.from_numpy(filtered.copy()).float()


def equally_loud(sounds: Sequence[Tensor], rate: int) -> tuple[list[Tensor], float]:
    """Sounds (T,) at one loudness, with short fades at both ends.

    Returns:
        The sounds, and their loudness in LUFS: -23, or less where a peak would exceed -1 dB of full scale.

    Raises:
        UserError: a sound is silent.
    """
    levels = [_lufs(sound, rate) for sound in sounds]
    if not all(np.isfinite(levels)):
        raise UserError("a sound of the test is silent; evaluate the runs, and leave out what makes no sound")
    peaks_db = [20 * float(sound.abs().max().log10()) for sound in sounds]
    headroom = [level - peak for level, peak in zip(levels, peaks_db, strict=True)]
    common = min(LOUDNESS_LUFS, min(headroom) + 20 * float(np.log10(HIGHEST_PEAK)))
    gains = [10 ** ((common - level) / 20) for level in levels]
    return [_faded(sound * gain, rate) for sound, gain in zip(sounds, gains, strict=True)], common


def _lufs(sound: Tensor, rate: int) -> float:
    meter = LoudnessMeter(rate)
    meter.push(sound[None])
    return meter.integrated_lufs()


def _faded(sound: Tensor, rate: int) -> Tensor:
    n = round(FADE_S * rate)
    ramp = torch.linspace(0, 1, n)
    out = sound.clone()
    out[:n] *= ramp
    out[-n:] *= ramp.flip(0)
    return out
