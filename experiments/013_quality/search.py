r"""Train candidates for a fixed budget of CPU seconds of one core, and give all of them the same scores.

S=experiments/013_quality/search.py
python $S prepare OUT --songs 20 80
python $S train OUT nearest --corpus OUT/songs_80/corpus --seconds 110 \
    model=cyclegan_resnet_small model.generator.upsampling=nearest model.ema_decay=0.99
python $S ceiling OUT ceiling --corpus OUT/pairs/corpus --seconds 110 model=cyclegan_small
python $S score OUT OUT/nearest_110s_seed0 demo --corpus OUT/choose/corpus --name choose
python $S published OUT runs/mine lofi_trap --corpus data/published
python $S table OUT --name choose
python $S curves OUT --name choose
python $S spectrograms OUT OUT/nearest_110s_seed0 demo --corpus OUT/choose/corpus

OUT gets the run folders, results.jsonl (a line for each system and corpus), curves_NAME.png and
spectrograms_A_to_B.png.
"""

import argparse
import hashlib
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from candidate_scores import BASELINES, Scorer, load_for, score_published
from cpu_training import (
    BatchClock,
    CPUClock,
    compose_candidate,
    read_record,
    run_folder,
    train_candidate,
    train_ceiling,
    write_record,
)
from score_tables import CURVES, Record, Results, candidate_names, draw_curves, markdown_table

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import positive_int
from cyclegan_audio.config.instantiation import slug
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.metrics.paired_error import MODEL
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import echo

CHOOSE, REPORT, PAIRS = "choose", "report", "pairs"
HELD_OUT = ("source.songs_per_genre=44", "source.paired_scores=12", "split.val=0.05", "split.test=0.65")
CORPORA = {
    CHOOSE: ("source.seed=77", *HELD_OUT),
    REPORT: ("source.seed=1077", *HELD_OUT),
    PAIRS: ("source.seed=2077", "source.songs_per_genre=4", "source.paired_scores=40"),
}
TRAINING = ("source.seed=5", "source.paired_scores=2", "split.val=0.03", "split.test=0.03")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command."""
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    options.run_command(options)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; what is no option of `train` and `ceiling` is an override."""
    parser = make_parser()
    options, others = parser.parse_known_args(arguments)
    if others and (not hasattr(options, "overrides") or any(one.startswith("-") for one in others)):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others:
        options.overrides = others
    return options


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    def add(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run_command=function)
        command.add_argument("out", type=Path, metavar="OUT", help="folder of all runs and results")
        return command

    prepare = add("prepare", prepare_corpora, "render the demo songs, and say how long it took")
    prepare.add_argument("--songs", type=int, nargs="*", default=[20, 80], help="sizes of training corpora")
    for name, function, text in (
        ("train", train_command, "train a candidate"),
        ("ceiling", ceiling_command, "train a candidate's generators on true pairs"),
    ):
        _add_training_options(add(name, function, text), by_batches=name == "train")
    score = add("score", score_command, "score models, and the baselines, on a corpus with pairs")
    score.add_argument("--tagger", action="store_true", help="the independent tagger listens, too (slow)")
    _add_scoring_options(score, CHOOSE)
    published = add("published", published_command, "score models on a corpus without pairs by `evaluate`")
    _add_scoring_options(published, "published")
    table = add("table", table_command, "print all candidates as a table in Markdown")
    table.add_argument("--name", default=CHOOSE, help="name of the corpus that was scored")
    curves = add("curves", curves_command, "draw scores against CPU seconds")
    curves.add_argument("--name", default=REPORT, help="name of the corpus that was scored")
    curves.add_argument("--candidates", nargs="*", help="names of candidates (default: all)")
    curves.add_argument("--scores", nargs="*", choices=CURVES, default=CURVES, help="scores to draw")
    spectrograms = add("spectrograms", spectrograms_command, "draw a held-out pair of each direction")
    _add_scored_options(spectrograms)
    return parser


def _add_training_options(command: argparse.ArgumentParser, by_batches: bool) -> None:
    command.add_argument("name", metavar="NAME", help="name of the candidate, the same for all seeds")
    command.add_argument("--corpus", type=Path, required=True, help="training corpus")
    budget = command.add_mutually_exclusive_group()
    budget.add_argument("--seconds", type=float, default=110.0, help="budget in CPU seconds")
    if by_batches:
        text = "budget in batches, with a checkpoint at each quarter"
        budget.add_argument("--batches", type=positive_int, help=text)
        command.add_argument("--until", type=positive_int, help="end after so many of --batches")
    command.add_argument(
        "--render-seconds", type=float, default=0.0, help="seconds of the budget that rendering took"
    )
    command.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    command.epilog = "All other arguments are overrides of `train`, such as model=cyclegan_small."
    command.set_defaults(overrides=[], batches=None, until=None)


def _add_scored_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", nargs="+", metavar="RUN", help="run folders, checkpoints, pretrained models")
    command.add_argument("--corpus", type=Path, required=True, help="corpus of the clips")


def _add_scoring_options(command: argparse.ArgumentParser, name: str) -> None:
    _add_scored_options(command)
    command.add_argument("--name", default=name, help="name of that corpus in the results")


def prepare_corpora(options: argparse.Namespace) -> None:
    """Render songs to OUT/NAME/songs and prepare OUT/NAME/corpus; print the CPU seconds of each."""
    training = {f"songs_{n}": (f"source.songs_per_genre={n}", *TRAINING) for n in options.songs}
    for name, overrides in (CORPORA | training).items():
        folder, before = options.out / name, _children_cpu_s()
        places = (f"source.folder={folder / 'songs'}", f"corpus={folder / 'corpus'}")
        command = ["source=demo", *places, *overrides, "page=false", "workers=1"]
        subprocess.run([sys.executable, "-m", "cyclegan_audio.prepare", *command], check=True)
        echo(f"{name}: {_children_cpu_s() - before:.0f} CPU s")


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def train_command(options: argparse.Namespace) -> None:
    """Train a candidate."""
    _train(options, train_candidate)


def ceiling_command(options: argparse.Namespace) -> None:
    """Train a candidate's generators on true pairs."""
    _train(options, train_ceiling)


def _train(options: argparse.Namespace, train: Any) -> None:
    """Train unless it is done, and write the record of the run."""
    by_batches = options.batches is not None
    if options.until and options.until >= (options.batches or 0):
        raise UserError("--until must be less than --batches")
    budget = f"{options.batches}b" if by_batches else f"{options.seconds:g}s"
    budget = f"{options.until}of{budget}" if options.until else budget
    folder = run_folder(options.out, options.name, budget, options.seed)
    if read_record(folder):
        echo(f"{folder} is trained already")
        return
    seconds = options.batches if by_batches else options.seconds
    cfg = compose_candidate(options.corpus, seconds, options.render_seconds, options.seed, options.overrides)
    asked = {key: getattr(options, key) for key in ("name", "seconds", "render_seconds", "seed", "overrides")}
    asked |= {"seconds": None, "until": options.until} if by_batches else {}
    clock = BatchClock(folder, options.batches, options.until) if by_batches else CPUClock()
    record = asked | {"corpus": str(options.corpus), "method": train.__name__} | train(cfg, folder, clock)
    write_record(folder, record)
    echo(f"{folder}: {record['batches']} batches in {record['cpu_s']:.1f} CPU s, {record['wall_s']:.1f} s")


def score_command(options: argparse.Namespace) -> None:
    """Score the baselines and each run, unless it is done."""
    results, scorers = Results(options.out), {}
    for run in options.runs:
        record = make_record(run, options)
        if results.has(record):
            echo(f"{run} is scored already")
            continue
        model, corpus, _ = load_for(run, options.corpus)
        key = (model.genres, str(corpus.normalisation))
        if key not in scorers:
            scorers[key] = Scorer(corpus, model.genres, options.tagger)
            _score_baselines(scorers[key], record, options, results)
        results.add(record | {"directions": scorers[key].score_model(model)})
        echo(f"{run} is scored")


def _score_baselines(scorer: Scorer, of_model: Record, options: argparse.Namespace, results: Results) -> None:
    for name in BASELINES:
        record = baseline_record(name, of_model, options)
        if not results.has(record):
            results.add(record | {"directions": scorer.baseline(name)})


def published_command(options: argparse.Namespace) -> None:
    """Score each run by a report of `evaluate`, unless it is done."""
    results = Results(options.out)
    for run in options.runs:
        record = make_record(run, options)
        if results.has(record):
            echo(f"{run} is scored already")
            continue
        report = report_folder(options.out, options.name, record["system"])
        systems = score_published(run, options.corpus, report)
        results.add(record | {"directions": systems.pop(MODEL)})
        for name, directions in systems.items():
            results.add(baseline_record(name, record, options) | {"directions": directions})


def report_folder(out: Path, name: str, system: str) -> Path:
    """Return the folder of a report; runs in folders of the same name get different ones."""
    digest = hashlib.sha256(system.encode()).hexdigest()[:8]
    return out / "reports" / f"{name}_{Path(system).name}_{digest}"


def make_record(run: str, options: argparse.Namespace) -> Record:
    """Return the record of a model without its scores."""
    path = resolve_run(run)
    file = next(path.glob("gen_*.safetensors")) if path.is_dir() else path
    about = {"name": Path(run).name, "seconds": None, "seed": None} | read_record(Path(run))
    model = load_model(run)
    about["batches"] = model.batches
    if Path(run).is_file() and (trained := read_record(Path(run).parents[1])):
        about |= {"name": f"{trained['name']} at {model.batches}", "seed": trained["seed"]}
    return about | {
        "system": str(Path(run).absolute() if Path(run).exists() else run),
        "genres": list(model.genres),
        "normalisation": str(CorpusNormalisation.from_dict(model.normalisation)),
        **_scoring(file, options),
    }


def baseline_record(name: str, of_model: Record, options: argparse.Namespace) -> Record:
    """Return the record of a baseline without its scores, for the genres and normalisation of a model."""
    about = {key: of_model[key] for key in ("genres", "normalisation")}
    full_name = f"{name}, {about['normalisation']}" if about["normalisation"] else name
    about |= {"name": full_name, "seconds": None, "seed": None, "system": name}
    return about | _scoring(options.corpus / MANIFEST_FILE, options)


def _scoring(file: Path, options: argparse.Namespace) -> Record:
    return {
        "scored_on": options.name,
        "scored_corpus": str(options.corpus),
        "file_time": file.stat().st_mtime_ns,
        "tagger": bool(getattr(options, "tagger", False)),
    }


def table_command(options: argparse.Namespace) -> None:
    """Print the table of a corpus."""
    print(markdown_table(_records(options)))


def curves_command(options: argparse.Namespace) -> None:
    """Draw OUT/curves_NAME.png."""
    records = _records(options)
    path = options.out / f"curves_{options.name}.png"
    draw_curves(records, options.candidates or candidate_names(records), options.scores).savefig(path)
    echo(str(path))


def spectrograms_command(options: argparse.Namespace) -> None:
    """Draw OUT/spectrograms_A_to_B.png: source, translations, equaliser and paired truth of one pair.

    Raises:
        UserError: the runs have different genres or normalisations.
    """
    loaded = {run: load_for(run, options.corpus)[:2] for run in options.runs}
    (first, corpus), *others = loaded.values()
    for model, other in others:
        if (model.genres, other.normalisation) != (first.genres, corpus.normalisation):
            raise UserError("the runs have different genres or normalisations; draw them one at a time")
    models = {run: model for run, (model, _) in loaded.items()}
    for direction in Scorer(corpus, first.genres).directions:
        title = f"{direction.source} to {direction.target}"
        panels = direction.panels(models)
        labels = [Path(name).name for name, _ in panels]
        figure = cycle_grid([{title: mel_db} for _, mel_db in panels], corpus.mel, row_labels=labels)
        path = options.out / f"spectrograms_{slug(direction.source)}_to_{slug(direction.target)}.png"
        figure.savefig(path)
        echo(str(path))


def _records(options: argparse.Namespace) -> list[Record]:
    """Return the records of a corpus.

    Raises:
        UserError: nothing was scored on it.
    """
    records = Results(options.out).on(options.name)
    if not records:
        raise UserError(f"nothing was scored on {options.name!r} in {options.out}; run `score` first")
    return records


if __name__ == "__main__":
    handle_user_errors("train")(main)()
