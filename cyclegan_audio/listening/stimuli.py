"""Sounds of a listening test: held-out clips translated by each system, matched in loudness."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from cyclegan_audio.audio.loudness import equalise_loudness, fade_ends, integrated_lufs
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.listening.questions import (
    EQUALISER,
    LOW_PASSED,
    OTHER_PIECE,
    REAL_TARGET,
    SOURCE,
    VOCODED_SOURCE,
)
from cyclegan_audio.metrics.baselines import BandMoments, match_moments
from cyclegan_audio.reports.evaluation.audio_examples import vocode
from cyclegan_audio.reports.evaluation.scoring import other_track_rows
from cyclegan_audio.reports.evaluation.translations import evenly_spaced, held_out_clips, translate_normalised
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import Vocoder

LOW_PASS_HZ = 3500.0  # the low anchor of BS.1534-3
LOW_PASS_ORDER = 8
LOUDNESS_LUFS = -23.0
MAX_PEAK = 10 ** (-1 / 20)
FADE_S = 0.01  # at both ends, because sounds play in a loop
MAX_TRAINING_CLIPS = 100  # for each genre, for the equaliser
N_EXAMPLES = 2


@dataclasses.dataclass(frozen=True)
class Item:
    """One held-out clip by every system.

    Attributes:
        source, target: genres.
        name: source file and start time of the clip.
        sounds: system to waveform (T,).
        examples: waveforms (T,) of real clips of the target genre.
    """

    source: str
    target: str
    name: str
    sounds: dict[str, Tensor]
    examples: list[Tensor]

    @property
    def direction(self) -> str:
        """The direction: `lofi to trap`."""
        return f"{self.source} to {self.target}"


@torch.inference_mode()
def make_items(
    runs: dict[str, TranslationModel], corpus: Corpus, source: str, n_items: int, vocoder: Vocoder
) -> Iterable[Item]:
    """Yield evenly spaced held-out clips of genre `source` by each run and each baseline.

    Args:
        runs: name to model; all have the same genres and mel.
        corpus: the corpus, not normalised, without clips that a run was trained on.
        source: the genre to translate from.
        n_items: maximum number of clips.
        vocoder: turns mels into audio.

    Raises:
        UserError: there are no held-out clips, or no audio of them.
    """
    model = next(iter(runs.values()))
    target = next(genre for genre in model.genres if genre != source)
    clips = held_out_clips(corpus, source, n_items)
    others = held_out_clips(corpus, target, len(clips) + N_EXAMPLES)
    real, examples = others[:-N_EXAMPLES] or others, others[-N_EXAMPLES:]
    moments = {genre: _moments(corpus, genre) for genre in model.genres}
    rows = other_track_rows(clips)
    for number, clip in enumerate(clips):
        waveform, real_db = corpus.audio(clip), corpus.mel_db(clip)
        systems_db = {name: _translated(run, corpus, clip) for name, run in runs.items()}
        systems_db[EQUALISER] = match_moments(real_db[None], moments[source], moments[target])[0]
        systems_db[VOCODED_SOURCE] = real_db
        sounds = {
            name: vocode(vocoder, mel_db, corpus.mel, waveform, real_db)
            for name, mel_db in systems_db.items()
        }
        sounds |= {
            SOURCE: waveform,
            LOW_PASSED: low_pass(waveform, corpus.mel.sample_rate),
            OTHER_PIECE: corpus.audio(clips[rows[number]]),
            REAL_TARGET: corpus.audio(real[number % len(real)]),
        }
        name = f"{clip.source} at {clip.start_s:g} s"
        yield Item(source, target, name, sounds, [corpus.audio(example) for example in examples])


def _translated(model: TranslationModel, corpus: Corpus, clip: Clip) -> Tensor:
    normalised = corpus.normalised(CorpusNormalisation.from_dict(model.normalisation))
    real_db = normalised.mel_db(clip)
    to = next(genre for genre in model.genres if genre != clip.genre)
    return translate_normalised(model, normalised, to, real_db)


def _moments(corpus: Corpus, genre: str) -> BandMoments:
    clips = evenly_spaced(corpus.clips(genre, "train"), MAX_TRAINING_CLIPS)
    if not clips:
        raise UserError(f"{corpus.folder} has no training clips of {genre}; prepare it again")
    return BandMoments.of(torch.stack([corpus.mel_db(clip) for clip in clips]))


def low_pass(waveform: Tensor, rate: int) -> Tensor:
    """Low-pass a waveform (T,) at 3.5 kHz by a Butterworth filter of order 8, forward and backward."""
    from scipy.signal import butter, sosfiltfilt

    filtered = sosfiltfilt(
        butter(LOW_PASS_ORDER, LOW_PASS_HZ, fs=rate, output="sos"), waveform.double().numpy()
    )
    return torch.from_numpy(filtered.copy()).float()


def match_loudness(sounds: Sequence[Tensor], rate: int) -> tuple[list[Tensor], float]:
    """Scale sounds (T,) to the same loudness, with short fades at both ends.

    Returns:
        The sounds, and their loudness in LUFS: -23, or less where a peak would exceed -1 dB of full scale.

    Raises:
        UserError: a sound is silent.
    """
    if not all(integrated_lufs(sound[None], rate) > -math.inf for sound in sounds):
        raise UserError(
            "a sound of the test is silent; evaluate the runs and omit those that produce silence"
        )
    matched, common = equalise_loudness(sounds, rate, LOUDNESS_LUFS, MAX_PEAK)
    return [fade_ends(sound, round(FADE_S * rate)) for sound in matched], common
