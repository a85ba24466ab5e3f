"""Listening tests from runs to a page, and from answers to scores."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import exclude_training_clips
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.listening.page import DESIGN, write_kit
from cyclegan_audio.listening.responses import RULE, post_screen, read
from cyclegan_audio.listening.stimuli import Item, items
from cyclegan_audio.listening.summary import numbers, show
from cyclegan_audio.reports.comparison.grouping import learnt_by, name_apart
from cyclegan_audio.reports.comparison.runs import flat
from cyclegan_audio.reports.evaluation.translations import open_corpus
from cyclegan_audio.reports.html import as_json, check_writable_folder, write_files
from cyclegan_audio.training.sweep import failure_reason, list_jobs
from cyclegan_audio.utils.defaults import ABX_TRIALS, LISTENING_CLIPS, LISTENING_RUNS, LISTENING_TEST
from cyclegan_audio.utils.devices import choose_device
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.progress import with_progress
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

ANALYSIS = "analysis.json"


def make_test(
    runs: Sequence[str | Path],
    *,
    out: str | Path = LISTENING_TEST,
    clips: int = LISTENING_CLIPS,
    abx: int = ABX_TRIALS,
    corpus: str | Path | None = None,
    vocoder: str = DEFAULT,
    device: str = "auto",
) -> Path:
    """Write the page with its sounds; returns index.html.

    Args:
        runs: run folders, checkpoints, shipped pairs, or sweeps, which stand for their finished jobs; at most
            six, between the same genres.
        out: a folder that is not there yet.
        clips: held-out clips a direction.
        abx: ABX trials a pair of systems.
        corpus: where the held-out clips lie; the first run's own corpus by default.
        vocoder: the way back to sound.
        device: auto, cpu, cuda, mps.

    Raises:
        UserError: no such run, too many, other genres or mels, no audio, or `out` is there already.
    """
    pairs, opened = _open(_expanded(runs), corpus, device)
    genres = next(iter(pairs.values())).genres
    sources = [a for a, b in (genres, genres[::-1]) if all(b in pair.targets for pair in pairs.values())]
    if not sources:
        raise UserError("the runs share no direction; test runs that translate to the same genre")
    voice = make_vocoder(vocoder)
    voice.check(opened.mel)
    folder = Path(out)
    check_writable_folder(folder.absolute().parent, "the listening test", "choose another by --out")

    def made() -> Iterator[Item]:
        for source in sources:
            made = items(pairs, opened, source, clips, voice)
            yield from with_progress(made, f"translating clips of {source}", clips, "clips")

    page = write_kit(folder, made(), list(pairs), opened.mel.sample_rate, abx)
    print(f"listening test: {page}")
    print_next_commands(command_line("listening_test", "--analyse", "FILES"))
    return page


def _expanded(runs: Sequence[str | Path]) -> list[str | Path]:
    """The runs, a sweep as its finished jobs.

    Raises:
        UserError: there are too many.
    """
    out: list[str | Path] = []
    for run in runs:
        jobs = list_jobs(Path(run))
        out += [job for job in jobs if not failure_reason(job)] if jobs else [run]
    if not 1 <= len(out) <= LISTENING_RUNS:
        raise UserError(
            f"a listening test takes 1 to {LISTENING_RUNS} runs, not {len(out)}; name those that matter"
        )
    return out


def _open(
    runs: Sequence[str | Path], corpus: str | Path | None, device: str
) -> tuple[dict[str, TranslationModel], Corpus]:
    """Pairs by name, and the corpus without clips that any was trained on."""
    pairs = [load_model(run, choose_device(device)) for run in runs]
    first = pairs[0]
    opened = open_corpus(first, corpus, resolve_run(runs[0]))
    plain = Corpus.open(opened.folder)
    for run, pair in zip(runs, pairs, strict=True):
        pair.mel.check_compatible(plain.mel, f"the model {run}", f"the corpus {plain.folder}")
        if not pair.adopt_spelling(first.genres):
            raise UserError(
                f"{run} translates {' and '.join(pair.genres)}, not {' and '.join(first.genres)}; "
                "test runs between the same genres"
            )
        plain, _ = exclude_training_clips(plain, pair.training_intervals)
    settings = [learnt_by(flat(pair.config)) for pair in pairs]
    names = name_apart(settings, [Path(run).name for run in runs], [str(run) for run in runs])
    if len(set(names)) < len(names):
        raise UserError(f"{names[0]} is named twice; name each run once")
    return dict(zip(names, pairs, strict=True)), plain


def analyse(files: Sequence[str | Path], *, out: str | Path | None = None, keep_all: bool = False) -> Path:
    """Read the listeners' files, print what they say, and keep it; returns analysis.json.

    Args:
        files: as the page saved them.
        out: folder of analysis.json; that of the first file by default.
        keep_all: also listeners who missed the hidden reference.

    Raises:
        UserError: a file is damaged or of another test, or no listener is left.
    """
    answers, notes = read([file for file in files if Path(file).name not in (ANALYSIS, DESIGN)] or files)
    kept, lost = (answers, []) if keep_all else post_screen(answers)
    if not kept:
        raise UserError(f"no listener is left ({RULE}); --keep-all counts them all the same")
    folder = Path(out) if out is not None else Path(files[0]).absolute().parent
    check_writable_folder(folder, "the analysis", "choose another by --out")
    plain = numbers(kept, [*notes, *lost])
    show(plain)
    write_files(folder, {ANALYSIS: as_json(plain)}, "the analysis")
    print(f"analysis: {folder / ANALYSIS}")
    return folder / ANALYSIS
