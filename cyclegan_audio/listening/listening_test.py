"""Entry point of `listening_test`: make a test of runs, and analyse the answers."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.leakage import exclude_training_clips
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.listening.analysis import analysis_numbers, print_analysis
from cyclegan_audio.listening.page import DESIGN, write_test
from cyclegan_audio.listening.responses import SCREENING_RULE, post_screen, read_responses
from cyclegan_audio.listening.stimuli import Item, make_items
from cyclegan_audio.reports.comparison.grouping import distinct_names, training_settings
from cyclegan_audio.reports.comparison.runs import flatten
from cyclegan_audio.reports.evaluation.translations import open_corpus
from cyclegan_audio.reports.html import ensure_writable, to_json, write_files
from cyclegan_audio.training.sweep import failure_reason, list_jobs
from cyclegan_audio.utils.defaults import ABX_TRIALS, LISTENING_CLIPS, LISTENING_RUNS, LISTENING_TEST
from cyclegan_audio.utils.devices import choose_device
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.printing import echo
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
    trust_packages: Collection[str] = (),
) -> Path:
    """Write the page of a listening test with its sounds; return the path of index.html.

    Args:
        runs: run folders, checkpoints, pretrained models, or sweeps (all their finished jobs); at
            most six, between the same genres.
        out: a new folder.
        clips: held-out clips for each direction.
        abx: ABX trials for each pair of systems.
        corpus: corpus with the held-out clips; by default the corpus of the first run.
        vocoder: name of the vocoder.
        device: auto, cpu, cuda, mps.
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.

    Raises:
        UserError: no such run, too many, other genres or mels, no audio, or `out` exists.
    """
    models, opened = _open(_expand_sweeps(runs), corpus, device, trust_packages)
    genres = next(iter(models.values())).genres
    sources = [a for a, b in (genres, genres[::-1]) if all(b in model.targets for model in models.values())]
    if not sources:
        raise UserError("the runs share no direction; test runs that translate to the same genre")
    chosen_vocoder = make_vocoder(vocoder)
    chosen_vocoder.check(opened.mel)
    folder = Path(out)
    ensure_writable(folder.absolute().parent, "the listening test", "choose another with --out")

    def all_items() -> Iterator[Item]:
        for source in sources:
            items = make_items(models, opened, source, clips, chosen_vocoder)
            yield from with_progress(items, f"translating clips of {source}", clips, "clips")

    page = write_test(folder, all_items(), list(models), opened.mel.sample_rate, abx)
    echo(f"listening test: {page}")
    print_next_commands(command_line("listening_test", "--analyse", "FILES"))
    return page


def _expand_sweeps(runs: Sequence[str | Path]) -> list[str | Path]:
    """Replace each sweep by its finished jobs.

    Raises:
        UserError: there are too many runs.
    """
    out: list[str | Path] = []
    for run in runs:
        jobs = list_jobs(Path(run))
        out += [job for job in jobs if not failure_reason(job)] if jobs else [run]
    if not 1 <= len(out) <= LISTENING_RUNS:
        raise UserError(f"a listening test takes 1 to {LISTENING_RUNS} runs, got {len(out)}; name fewer")
    return out


def _open(
    runs: Sequence[str | Path], corpus: str | Path | None, device: str, trust_packages: Collection[str]
) -> tuple[dict[str, TranslationModel], Corpus]:
    """Load the models by name, and open the corpus, not normalised, without clips that any was trained on."""
    models = [load_model(run, choose_device(device), trust_packages=trust_packages) for run in runs]
    first = models[0]
    for run, model in zip(runs, models, strict=True):
        if not model.adopt_spelling(first.genres):
            raise UserError(
                f"{run} translates {' and '.join(model.genres)}, not {' and '.join(first.genres)}; "
                "test runs between the same genres"
            )
    opened = open_corpus(first, corpus, resolve_run(runs[0]))
    plain_corpus = Corpus.open(opened.folder)
    for run, model in zip(runs, models, strict=True):
        model.mel.check_compatible(plain_corpus.mel, f"the model {run}", f"the corpus {plain_corpus.folder}")
        model.adopt_spelling(first.genres)
        plain_corpus, _ = exclude_training_clips(plain_corpus, model.training_intervals)
    settings = [training_settings(flatten(model.config)) for model in models]
    names = distinct_names(settings, [Path(run).name for run in runs], [str(run) for run in runs])
    if len(set(names)) < len(names):
        raise UserError(f"{names[0]} is named twice; name each run once")
    return dict(zip(names, models, strict=True)), plain_corpus


def analyse(files: Sequence[str | Path], *, out: str | Path | None = None, keep_all: bool = False) -> Path:
    """Read the listeners' files, print the analysis, and save it; return the path of analysis.json.

    Args:
        files: files that the page saved.
        out: folder of analysis.json; by default that of the first file.
        keep_all: whether to keep listeners who missed the hidden reference.

    Raises:
        UserError: a file is damaged or of another test, or no listener is left.
    """
    responses, notes = read_responses(
        [file for file in files if Path(file).name not in (ANALYSIS, DESIGN)] or files
    )
    kept, excluded = (responses, []) if keep_all else post_screen(responses)
    if not kept:
        raise UserError(f"no listener is left ({SCREENING_RULE}); add --keep-all to include them")
    folder = Path(out) if out is not None else Path(files[0]).absolute().parent
    ensure_writable(folder, "the analysis", "choose another with --out")
    numbers = analysis_numbers(kept, [*notes, *excluded])
    print_analysis(numbers)
    write_files(folder, {ANALYSIS: to_json(numbers)}, "the analysis")
    echo(f"analysis: {folder / ANALYSIS}")
    return folder / ANALYSIS
