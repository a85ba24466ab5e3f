"""Entry point of `evaluate`: from a checkpoint to its report."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import exclude_training_clips
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import MusicTagger, load_tagger
from cyclegan_audio.models.directions import source_and_target
from cyclegan_audio.reports.evaluation.audio_examples import audio_section
from cyclegan_audio.reports.evaluation.first_screen import first_screen, lead_sentence
from cyclegan_audio.reports.evaluation.ground_truth import paired_section, score_section
from cyclegan_audio.reports.evaluation.metric_tables import metrics_section
from cyclegan_audio.reports.evaluation.more_music import more_music_section
from cyclegan_audio.reports.evaluation.provenance import provenance_section
from cyclegan_audio.reports.evaluation.reconstruction import reconstruction_section
from cyclegan_audio.reports.evaluation.report_files import (
    ensure_writable,
    report_folder,
    run_folder,
    write_report,
)
from cyclegan_audio.reports.evaluation.seams import seams_section
from cyclegan_audio.reports.evaluation.spectrograms import gallery_section, spectrograms_section
from cyclegan_audio.reports.evaluation.summary import ground_truth_summary, metrics_summary
from cyclegan_audio.reports.evaluation.tagging import tagger_section
from cyclegan_audio.reports.evaluation.training_losses import losses_section
from cyclegan_audio.reports.evaluation.translations import (
    DirectionResult,
    EvaluationData,
    held_out_clips,
    held_out_pairs,
    open_corpus,
    translate_direction,
)
from cyclegan_audio.reports.html import Section
from cyclegan_audio.utils.defaults import HELD_OUT_CLIPS
from cyclegan_audio.utils.devices import choose_device
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

SECTIONS: tuple[Callable[[EvaluationData], Section], ...] = (  # in the order of the page
    more_music_section,
    spectrograms_section,
    gallery_section,
    audio_section,
    metrics_section,
    tagger_section,
    paired_section,
    score_section,
    reconstruction_section,
    seams_section,
    losses_section,
    provenance_section,
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
    trust_packages: Collection[str] = (),
    tagger: str | Path | None = None,
    metrics: Sequence[MetricSpec] = METRICS,
) -> Path:
    """Translate held-out clips, compute the metrics, and write the report; return the path of report.html.

    Args:
        run: a run folder, a checkpoint, or the name of a pretrained model.
        corpus: folder of the corpus with the held-out clips; by default the corpus of the run.
        without_identity: a second run, trained without identity loss, for the paper's figure 1.8.
        vocoder: name of the vocoder.
        clips: maximum number of held-out clips for each genre; up to twice as many paired clips are used.
        out: folder of the report; by default `report` in the run folder.
        checkpoint: a checkpoint to use instead of the run's default.
        device: auto, cpu, cuda, mps.
        shifts: number of time shifts over which the generators are averaged (`inference.cycle_spinning`).
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.
        tagger: folder with the weights of the independent tagger; by default those of the package musicnn.
        metrics: the metrics to compute; `(*METRICS, mine)` adds one.

    Raises:
        UserError: no such run or corpus, other mel settings, no held-out clips, no permission to write, more
            shifts than the generators' frame multiple, or no weights in the folder `tagger`.
    """
    path, chosen = resolve_run(run, checkpoint), choose_device(device)
    model = with_cycle_spinning(load_model(run, chosen, checkpoint, trust_packages), shifts)
    opened = open_corpus(model, corpus, path)
    models = [model, *_second_model(without_identity, model, opened, device, shifts, trust_packages)]
    opened, n_excluded = _exclude_training_clips(opened, models)
    folder = _output_folder(out, path)
    make_vocoder(vocoder).check(model.mel)
    music_tagger = _load_tagger(tagger, chosen)
    (directions, *second_directions), seconds = _translate(models, opened, clips)
    evaluated = EvaluationData(
        run=str(run),
        checkpoint=path,
        run_folder=run_folder(path),
        model=model,
        corpus=opened,
        directions=directions,
        vocoder=vocoder,
        second_run=str(without_identity) if second_directions else None,
        without_identity=next(iter(second_directions), []),
        shifts=shifts, seconds=seconds, n_excluded=n_excluded,
        metrics=metrics,
        tagger=music_tagger,
    )  # fmt: skip
    return _report(evaluated, folder)


def _output_folder(out: str | Path | None, checkpoint: Path) -> Path:
    folder = Path(out) if out is not None else report_folder(checkpoint)
    ensure_writable(folder)
    return folder


def _load_tagger(folder: str | Path | None, device: torch.device) -> MusicTagger | str:
    """Return the independent tagger, or the reason why there is none; a folder that is named must have it."""
    try:
        return load_tagger(folder, device)
    except UserError as error:
        if folder is not None:
            raise
        return str(error)


def _report(evaluated: EvaluationData, folder: Path) -> Path:
    # The scores come first: they take most of the time, and have bars of their own.
    lines = [ground_truth_summary(evaluated.paired_scores), metrics_summary(evaluated.direction_scores)]
    sections = []
    with progress_bar("writing the report", len(SECTIONS) + 1, "sections") as bar:
        views = first_screen(evaluated)
        bar.advance()
        for make in SECTIONS:
            sections.append(make(evaluated))
            bar.advance()
    summary = "\n".join(lines if evaluated.paired_scores else reversed(lines))
    a, b = evaluated.model.genres
    directions = f"{a} and {b}" if len(evaluated.directions) > 1 else str(evaluated.directions[0])
    title, lead = f"{directions}: {Path(evaluated.run).name}", lead_sentence(evaluated)
    page = write_report(folder, title, summary, sections, lead, views)
    if isinstance(evaluated.tagger, str):
        echo(f"no independent tagger: {evaluated.tagger}")
    echo(*summary.split("\n"), f"report: {page}")
    return page


def _second_model(
    run: str | Path | None,
    first: TranslationModel,
    corpus: Corpus,
    device: str,
    shifts: int,
    trust_packages: Collection[str],
) -> list[TranslationModel]:
    """Load the model without identity loss; none if `run` is None."""
    if run is None:
        return []
    second = load_model(run, choose_device(device), trust_packages=trust_packages)
    second.mel.check_compatible(corpus.mel, f"the model {run}", f"the corpus {corpus.folder}")
    if second.normalisation != first.normalisation:
        raise UserError(
            f"{run} was trained with another data.normalise; choose a run that differs in identity loss only"
        )
    if not second.adopt_spelling(first.genres):
        raise UserError(
            f"{run} translates {' and '.join(second.genres)}, not {' and '.join(first.genres)}; "
            "choose a run between the same genres"
        )
    if not len(first.targets) == len(second.targets) == 2:
        raise UserError(
            "figure 1.8 shows cycles, which needs two models that translate in both directions; "
            "omit --without-identity"
        )
    weight = second.config.get("model", {}).get("loss_weights", {}).get("identity", 0)
    if weight:
        raise UserError(
            f"{run} was trained with identity weight {weight}; choose a run with "
            "model.loss_weights.identity=0"
        )
    if (start := second.config.get("init_from")) is not None:
        raise UserError(
            f"{run} began with {shortened(start)}, which may know the identity loss; choose a run with "
            "init_from=null"
        )
    return [with_cycle_spinning(second, shifts)]


def _exclude_training_clips(corpus: Corpus, models: Sequence[TranslationModel]) -> tuple[Corpus, int]:
    """Exclude clips of other splits that a model was trained on, and count them."""
    n_excluded = 0
    for model in models:
        corpus, n_removed = exclude_training_clips(corpus, model.training_intervals)
        n_excluded += n_removed
    return corpus, n_excluded


def _translate(
    models: Sequence[TranslationModel], corpus: Corpus, clips: int
) -> tuple[list[list[DirectionResult]], float]:
    """Translate the held-out clips by each model in each of its directions; return the seconds, too."""
    start = time.perf_counter()
    n_clips = sum(_n_clips(model, corpus, clips) for model in models)
    with progress_bar("translating held-out clips", n_clips, "clips") as bar:
        directions = [
            [translate_direction(model, corpus, to, clips, bar.advance) for to in model.targets]
            for model in models
        ]
    return directions, time.perf_counter() - start


def _n_clips(model: TranslationModel, corpus: Corpus, clips: int) -> int:
    directions = [source_and_target(model.genres, direction) for direction in model.generators]
    single = sum(len(held_out_clips(corpus, source, clips)) for source, _ in directions)
    return single + sum(len(held_out_pairs(corpus, source, to, clips)) for source, to in directions)
