"""Measure a trained model on held-out clips: `cyclegan-audio evaluate RUN` writes RUN/report/report.html."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.defaults import HELD_OUT_CLIPS
from cyclegan_audio.utils.hints import command_line, print_next_commands


def parser() -> VerbParser:
    """Return the command line."""
    made = VerbParser(
        "evaluate",
        (
            "runs/mine",
            "runs/mine --shifts 4 --out reports/smooth",
            "runs/mine --corpus data/other --clips 50",
        ),
    )
    made.add_run()
    made.add_corpus("the corpus with the held-out clips (default: the run's own)")
    made.add_out("the folder of the report (default: RUN/report)")
    made.add_clips("held-out clips of each genre, at most", HELD_OUT_CLIPS)
    made.add_argument(
        "--without-identity", metavar="RUN2", help="a run without identity loss, for the paper's figure 1.8"
    )
    made.add_translation_options()
    return made


@handle_user_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.reports.evaluation.evaluate import evaluate

    evaluate(**options)
    where = ["--corpus", options["corpus"]] if "corpus" in options else []
    print_next_commands(command_line("listening_test", options.get("checkpoint", options["run"]), *where))


if __name__ == "__main__":
    main()
