"""All numbers that belong to one clip: does the genre move, does the piece stay, does it sound whole.

Each function takes clips (N, M, F) in dB and gives a dict from measure to (N,) float64 numbers; NaN stands
for
what cannot be said of a clip.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.metrics import onsets
from cyclegan_audio.metrics.artefacts import checkerboard_db, quiet_db, silence_gain_db
from cyclegan_audio.metrics.pitch import bass_similarity, chroma_similarity
from cyclegan_audio.metrics.tone import bandwidth_hz, filter_share, roll_off_hz, top_end_db

BLOCK = 64  # clips at once: bounds memory
Scores = dict[str, np.ndarray]


def genre_scores(mels_db: Tensor, mel: MelSettings) -> Scores:
    """Hi-hats and tone: `hats_per_s`, `roll_share`, `bandwidth_khz`, `roll_off_khz`, `top_end_db`."""

    def of(made: Tensor) -> Scores:
        hats = onsets.onsets(onsets.novelty(made, mel, onsets.HATS_ABOVE_HZ), mel.frame_s)
        duration_s = made.shape[2] * mel.frame_s
        return {
            "hats_per_s": np.array([onsets.onset_rate(times, duration_s) for times in hats]),
            "roll_share": np.array([onsets.roll_share(times) for times in hats]),
            "bandwidth_khz": _numbers(bandwidth_hz(made, mel)) / 1000,
            "roll_off_khz": _numbers(roll_off_hz(made, mel)) / 1000,
            "top_end_db": _numbers(top_end_db(made, mel)),
        }

    return _in_blocks(of, mels_db)


def piece_scores(source_db: Tensor, made_db: Tensor, mel: MelSettings) -> Scores:
    """Likeness to the source, 1 for the same piece: rhythm, tempo, beats, harmony, bass; and `filter_share`.

    Beats of both are tracked at the source's tempo, so that `beat_f1` says whether they fall on the same
    times.
    """

    def of(real: Tensor, made: Tensor) -> Scores:
        rises = [onsets.novelty(x, mel) for x in (real, made)]
        times = [onsets.onsets(rise, mel.frame_s) for rise in rises]
        tempi = [onsets.tempo_bpm(rise, mel.frame_s) for rise in rises]
        beats = [onsets.beats(rise, tempi[0], mel.frame_s) for rise in rises]
        return {
            "onset_correlation": _numbers(onsets.row_correlation(*rises)),
            "onset_f1": _f1(times, onsets.TOLERANCE_S),
            "tempo": _numbers(onsets.tempo_agrees(*tempi)),
            "beat_f1": _f1(beats, onsets.BEAT_TOLERANCE_S),
            "chroma": _numbers(chroma_similarity(real, made, mel)),
            "bass": _numbers(bass_similarity(real, made, mel)),
            "filter_share": _numbers(filter_share(real, made)),
        }

    return _in_blocks(of, source_db, made_db)


def fault_scores(source_db: Tensor, made_db: Tensor) -> Scores:
    """`checkerboard_db`, `quiet_db` and `silence_gain_db`."""

    def of(real: Tensor, made: Tensor) -> Scores:
        return {
            "checkerboard_db": _numbers(checkerboard_db(made)),
            "quiet_db": _numbers(quiet_db(made)),
            "silence_gain_db": _numbers(silence_gain_db(real, made)),
        }

    return _in_blocks(of, source_db, made_db)


def _in_blocks(of: Callable[..., Scores], *mels_db: Tensor) -> Scores:
    parts = [of(*block) for block in zip(*(x.split(BLOCK) for x in mels_db), strict=True)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _f1(lists: list[list[np.ndarray]], tolerance_s: float) -> np.ndarray:
    return np.array([onsets.f1(b, a, tolerance_s) for a, b in zip(*lists, strict=True)])


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().to(torch.float64).cpu().numpy()
