"""The evaluation of a trained pair from its checkpoint to its report."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import exclude_training_clips
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.models.directions import source_and_target
from cyclegan_audio.reports.evaluation.audio_examples import listening_section
from cyclegan_audio.reports.evaluation.gallery import gallery_section
from cyclegan_audio.reports.evaluation.metric_tables import measures_section
from cyclegan_audio.reports.evaluation.paired_error import paired_section
from cyclegan_audio.reports.evaluation.provenance import run_section
from cyclegan_audio.reports.evaluation.reconstruction import reconstruction_section
from cyclegan_audio.reports.evaluation.report import (
    check_writable_folder,
    report_folder,
    run_folder,
    write_report,
)
from cyclegan_audio.reports.evaluation.score_alignment import score_section
from cyclegan_audio.reports.evaluation.seams import seams_section
from cyclegan_audio.reports.evaluation.spectrograms import pictures_section
from cyclegan_audio.reports.evaluation.summary import ground_truth_summary, metrics_summary
from cyclegan_audio.reports.evaluation.training_losses import losses_section
from cyclegan_audio.reports.evaluation.translations import (
    DirectionResult,
    EvaluationData,
    held_out,
    held_out_pairs,
    open_corpus,
    translate_direction,
)
from cyclegan_audio.reports.html import Section
from cyclegan_audio.utils.defaults import HELD_OUT_CLIPS
from cyclegan_audio.utils.devices import choose_device
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

SECTIONS: tuple[Callable[[EvaluationData], Section], ...] = (  # in the order in which they are read
    measures_section,
    paired_section,
    score_section,
    pictures_section,
    gallery_section,
    listening_section,
    reconstruction_section,
    seams_section,
    losses_section,
    run_section,
)


def evaluate(
    run: str | Path,
    *,
    corpus: str | Path | None = None,
    without_identity: str | Path | None = None,
    vocoder: str = DEFAULT,
    clips: int = HELD_OUT_CLIPS,
    out: str | Path | None = None,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    shifts: int = 1,
    metrics: Sequence[MetricSpec] = METRICS,
) -> Path:
    """Translate held-out clips each way that there is, measure, and write the report; returns report.html.

    Args:
        run: a run folder, a checkpoint, or the name of a shipped pair.
        corpus: the folder with the held-out clips; the one that the run was trained on by default.
        without_identity: a second run, trained without identity loss, for the paper's figure 1.8.
        vocoder: the way back to sound.
        clips: at most so many held-out clips a genre, and twice as many pairs.
        out: folder of the report; `report` in the run's folder by default.
        checkpoint: use this checkpoint instead of the run's own.
        device: auto, cpu, cuda, mps.
        shifts: of the clips, over which generators are averaged (`models.cycle_spinning`).
        metrics: what to measure of each clip; `(*METRICS, mine)` adds one.

    Raises:
        UserError: no such run or corpus, other mel settings, no held-out clips, no right to write, or more
            shifts than the generators' frame multiple.
    """
    path = resolve_run(run, checkpoint)
    pair = with_cycle_spinning(load_model(run, choose_device(device), checkpoint), shifts)
    opened = open_corpus(pair, corpus, path)
    second = _second_pair(without_identity, pair, opened, device) if without_identity is not None else None
    pairs = [pair, with_cycle_spinning(second, shifts)] if second else [pair]
    opened, left_out = _without_seen(opened, pairs)
    folder = Path(out) if out is not None else report_folder(path)
    check_writable_folder(folder)
    make_vocoder(vocoder).check(pair.mel)
    start = time.perf_counter()
    directions, *of_second = _translate(pairs, opened, clips)
    evaluated = EvaluationData(
        run=str(run),
        checkpoint=path,
        run_folder=run_folder(path),
        pair=pair,
        corpus=opened,
        directions=directions,
        vocoder=vocoder,
        second_run=str(without_identity) if second else None,
        without_identity=of_second[0] if second else [],
        shifts=shifts,
        seconds=time.perf_counter() - start,
        left_out=left_out,
        metrics=metrics,
    )
    return _report(evaluated, folder)


def _report(evaluated: EvaluationData, folder: Path) -> Path:
    sections = []
    with progress_bar("measuring", len(SECTIONS), "sections") as bar:
        for make in SECTIONS:
            sections.append(make(evaluated))
            bar.advance()
    words = [ground_truth_summary(evaluated.paired_scores), metrics_summary(evaluated.measured)]
    line = "\n".join(words if evaluated.paired_scores else reversed(words))
    a, b = evaluated.pair.genres
    ways = f"{a} and {b}" if len(evaluated.directions) > 1 else str(evaluated.directions[0])
    page = write_report(folder, f"{ways}: {Path(evaluated.run).name}", line, sections)
    print(f"{line}\nreport: {page}")
    return page


def _second_pair(run: str | Path, first: TranslationModel, corpus: Corpus, device: str) -> TranslationModel:
    second = load_model(run, choose_device(device))
    second.mel.check_compatible(corpus.mel, f"the model {run}", f"the corpus {corpus.folder}")
    if second.normalisation != first.normalisation:
        raise UserError(
            f"{run} was trained with another data.normalise; give a twin that differs in identity only"
        )
    if not second.adopt_spelling(first.genres):
        raise UserError(
            f"{run} translates {' and '.join(second.genres)}, not {' and '.join(first.genres)}; give its twin"
        )
    if not len(first.targets) == len(second.targets) == 2:
        raise UserError(
            "figure 1.8 shows clips there and back, which takes two models that translate both ways; "
            "leave out --without-identity"
        )
    weight = second.config.get("model", {}).get("loss_weights", {}).get("identity", 0)
    if weight:
        raise UserError(
            f"{run} was trained with identity weight {weight}; train one with model.loss_weights.identity=0"
        )
    return second


def _without_seen(corpus: Corpus, pairs: Sequence[TranslationModel]) -> tuple[Corpus, int]:
    """Leave out the clips of other splits that a pair was trained on, and count them."""
    left_out = 0
    for pair in pairs:
        corpus, n_seen = exclude_training_clips(corpus, pair.training_intervals)
        left_out += n_seen
    return corpus, left_out


def _translate(pairs: Sequence[TranslationModel], corpus: Corpus, clips: int) -> list[list[DirectionResult]]:
    """Translate the held-out clips by each pair in each of its directions."""
    n_clips = sum(_n_clips(pair, corpus, clips) for pair in pairs)
    with progress_bar("translating held-out clips", n_clips, "clips") as bar:
        return [
            [translate_direction(pair, corpus, to, clips, bar.advance) for to in pair.targets]
            for pair in pairs
        ]


def _n_clips(pair: TranslationModel, corpus: Corpus, clips: int) -> int:
    ways = [source_and_target(pair.genres, direction) for direction in pair.generators]
    single = sum(len(held_out(corpus, source, clips)) for source, _ in ways)
    return single + sum(len(held_out_pairs(corpus, source, to, clips)) for source, to in ways)
