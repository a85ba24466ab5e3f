"""Verb `evaluate`: measure a trained model on held-out clips and write RUN/report/report.html."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.defaults import HELD_OUT_CLIPS
from cyclegan_audio.utils.hints import command_line, print_next_commands


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "evaluate",
        (
            "runs/mine",
            "runs/mine --shifts 4 --out reports/smooth",
            "runs/mine --corpus data/other --clips 50",
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
    verb_parser.add_translation_options()
    return verb_parser


@handle_user_errors("evaluate")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.reports.evaluation.evaluate import evaluate

    evaluate(**options)
    where = ["--corpus", options["corpus"]] if "corpus" in options else []
    print_next_commands(command_line("listening_test", options.get("checkpoint", options["run"]), *where))


if __name__ == "__main__":
    main()
