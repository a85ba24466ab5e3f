"""Verb `evaluate`: measure a trained model on held-out clips and write RUN/report/report.html."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.defaults import HELD_OUT_CLIPS
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, print_next_commands

ALL = "all"  # as --checkpoint
OPTIONS_OF_ALL = ("run", "checkpoint", "corpus", "out", "trust_packages")


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "evaluate",
        (
            "runs/mine",
            "runs/mine --checkpoint all",
            "runs/mine --corpus data/other --clips 50 --shifts 4 --out reports/other",
        ),
    )
    verb_parser.add_run()
    verb_parser.add_corpus("the corpus with the held-out clips (default: the corpus of the run)")
    verb_parser.add_out("the folder of the report (default: RUN/report)")
    verb_parser.add_clips("maximum number of held-out clips of each genre", HELD_OUT_CLIPS)
    verb_parser.add_argument(
        "--without-identity", metavar="RUN2", help="a run without identity loss, for the paper's figure 1.8"
    )
    verb_parser.add_argument(
        "--tagger",
        metavar="DIR",
        help="folder of the independent tagger, MSD_musicnn (default: of the installed package musicnn)",
    )
    verb_parser.add_translation_options(
        f"a checkpoint of the run, or {ALL}: evaluate and compare them (default: its best, else its last)"
    )
    return verb_parser


@handle_user_errors("evaluate")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = vars(parser().parse_args(arguments))
    if options.get("checkpoint") == ALL:
        compare_checkpoints(options)
        return
    from cyclegan_audio.reports.evaluation.evaluate import evaluate

    evaluate(**options)
    where = ["--corpus", options["corpus"]] if "corpus" in options else []
    print_next_commands(command_line("listening_test", options.get("checkpoint", options["run"]), *where))


def compare_checkpoints(options: dict[str, Any]) -> None:
    """Evaluate all checkpoints of a run that have no report yet, and write a page that compares them.

    Args:
        options: options of the command line, by the names of the parser's results.

    Raises:
        UserError: another option than `OPTIONS_OF_ALL` is given, or the run has fewer than two checkpoints.
    """
    from cyclegan_audio.inference.checkpoints import list_checkpoints, resolve_run
    from cyclegan_audio.reports.comparison.compare import compare

    run = options["run"]
    if others := [name for name in options if name not in OPTIONS_OF_ALL]:
        raise UserError(f"--checkpoint {ALL} cannot take --{others[0].replace('_', '-')}; leave it out")
    resolve_run(run)  # a missing run is named first
    checkpoints = list_checkpoints(run)
    if len(checkpoints) < 2:
        raise UserError(
            f"{run} has fewer than two checkpoints to compare; give a run folder with several, or leave out "
            f"--checkpoint {ALL}"
        )
    chosen = {name: options[name] for name in ("corpus", "trust_packages") if name in options}
    compare(checkpoints, out=options.get("out", Path(run) / "comparison"), **chosen)


if __name__ == "__main__":
    main()
