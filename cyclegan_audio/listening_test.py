"""Verb `listening_test`: create a listening test of trained models, or analyse its responses (--analyse)."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import PRETRAINED_HELP, VerbParser, positive_int
from cyclegan_audio.utils.defaults import ABX_TRIALS, LISTENING_CLIPS, LISTENING_TEST

ANALYSIS_OPTIONS = ("out", "keep_all")


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "listening_test",
        ("runs/mine", "runs/first runs/second --out listening/both --clips 5", "--analyse answers/*.json"),
    )
    mode = verb_parser.add_mutually_exclusive_group(required=True)
    mode.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        default=[],
        help=f"run folders, .ckpt files, {PRETRAINED_HELP}, or the folder of a sweep",
    )
    mode.add_argument("--analyse", metavar="FILE", nargs="+", help="files of responses, instead of runs")
    verb_parser.add_out(f"a new folder for the test (default: {LISTENING_TEST}) or for the analysis")
    verb_parser.add_clips("number of clips of each direction", LISTENING_CLIPS)
    verb_parser.add_argument(
        "--abx",
        metavar="N",
        type=positive_int,
        help=f"ABX trials of each pair of systems (default: {ABX_TRIALS})",
    )
    verb_parser.add_corpus("the corpus with the held-out clips (default: the corpus of the first run)")
    verb_parser.add_vocoder()
    verb_parser.add_device()
    verb_parser.add_trust_package()
    verb_parser.add_argument(
        "--keep-all", action="store_true", help="keep listeners who failed to identify the hidden reference"
    )
    return verb_parser


@handle_user_errors("listening_test")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.listening.listening_test import analyse, make_test

    runs, files = options.pop("runs"), options.pop("analyse", None)
    if files:
        analyse(files, **{name: options[name] for name in ANALYSIS_OPTIONS if name in options})
    else:
        options.pop("keep_all", None)
        make_test(runs, **options)


if __name__ == "__main__":
    main()
