"""Section of seams: artefacts at the borders of the windows in which `translate` processes long music."""

import math

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.windows import n_windows
from cyclegan_audio.corpus.corpus import Clip
from cyclegan_audio.metrics.artefacts import seam_db
from cyclegan_audio.reports.evaluation.scoring import mean_over_tracks
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, evenly_spaced
from cyclegan_audio.reports.html import Section, Table
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.translation.analysis_pass import MAX_WINDOWS
from cyclegan_audio.translation.continuation import continue_blocks
from cyclegan_audio.translation.stages import EdgeStream, to_whole_frames
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.devices import n_workers, single_threaded
from cyclegan_audio.utils.errors import UserError

MAX_STRETCHES = 4  # for each direction
STRETCH_WINDOWS = 16  # maximum windows of a stretch; three borders
EXPLANATION = (
    "Consecutive held-out clips are joined and translated as `translate` does it: with the same windows, "
    "the same overlap, and the statistics of the whole stretch. The seam energy compares how much the "
    "model's change varies from frame to frame at window borders and elsewhere; 0 dB means no audible seam. "
    f"`translate` processes music of up to {MAX_WINDOWS} windows at once, so only longer stretches have "
    "borders."
)
NO_BORDERS = "no stretch is long enough to have borders"


def seams_section(evaluated: EvaluationData) -> Section:
    """Return the seam energy of joined clips in each direction."""
    section = Section("seams", "Seams between windows", [EXPLANATION])
    rows = []
    try:
        for direction in evaluated.directions:
            value = seam_energy(direction, evaluated)
            rows.append([str(direction), str(value) if value else NO_BORDERS, str(value.n if value else 0)])
            section.numbers[str(direction)] = value.to_dict() if value else None
    except UserError as error:
        section.missing = f"Not computed: {error}."
        return section
    section.tables.append(Table("", ["", "seam energy (dB)", "stretches"], rows))
    return section


def seam_energy(direction: DirectionResult, evaluated: EvaluationData) -> Estimate | None:
    """Average the seam energy in dB over stretches of held-out music; None where none is long enough.

    Raises:
        UserError: the corpus keeps no audio.
    """
    translator = Translator(evaluated.model, device=evaluated.model.device)
    corpus, window_clips = evaluated.corpus, translator.window / evaluated.corpus.clip_frames
    runs = stretches(corpus.clips(direction.source, "test"), math.ceil(STRETCH_WINDOWS * window_clips))
    long = evenly_spaced([run for run in runs if len(run) > MAX_WINDOWS * window_clips], MAX_STRETCHES)
    waveforms = (torch.cat([corpus.audio(clip) for clip in run]) for run in long)
    values = [seam_db(*translated_change(translator, waveform, direction.target)) for waveform in waveforms]
    return mean_over_tracks(np.array(values), [run[0] for run in long])


def translated_change(translator: Translator, waveform: Tensor, to: str) -> tuple[Tensor, list[int]]:
    """Compute the change that `translate` makes to the mel of a waveform (T,) at the mel's sample rate.

    Returns:
        The change (M, F) in dB, with the frames of the continuations, and the frames where the overlaps of
        windows begin and end.
    """
    mel, device = translator.mel, translator.device
    workers = n_workers(device)
    continued = torch.cat(list(continue_blocks([waveform[None]], translator.n_continued(mel.sample_rate))), 1)
    padded = to_whole_frames(continued, 0, mel).to(device)
    mel_db = mel.mel_db(padded)[0]
    heard_db = EdgeStream(mel).push(mel_db, last=True)
    with torch.no_grad(), single_threaded():
        statistics = translator.analyse(lambda: [waveform[None]], mel.sample_rate, to, workers)
        if statistics.is_silent:
            return torch.zeros_like(mel_db).cpu(), []
        generator = translator.windowed_generator(to, statistics)
        stream = generator.stream(device.type == "cuda", workers)
        target_db = generator.add_change(mel_db, stream.push(heard_db, last=True))
    hop, n_frames = stream.window - stream.overlap, mel_db.shape[1]
    starts = [number * hop for number in range(1, n_windows(n_frames, stream.window, stream.overlap))]
    borders = [edge for start in starts for edge in (start, start + stream.overlap)]
    return (target_db - mel_db).cpu(), borders


def stretches(clips: list[Clip], max_clips: int) -> list[list[Clip]]:
    """Group consecutive clips without a gap; a group holds two to `max_clips` clips."""
    out: list[list[Clip]] = [[]]
    for clip in clips:
        last = out[-1][-1] if out[-1] else None
        follows = (
            last is not None
            and last.content == clip.content
            and abs(last.start_s + last.duration_s - clip.start_s) < 1e-3
        )
        if follows and len(out[-1]) < max_clips:
            out[-1].append(clip)
        else:
            out.append([clip])
    return [run for run in out if len(run) > 1]
