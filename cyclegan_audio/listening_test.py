"""Make a listening test of runs, a page that needs no server; or, with --analyse, score the answers."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser, positive_int
from cyclegan_audio.utils.defaults import ABX_TRIALS, LISTENING_CLIPS, LISTENING_TEST

ANALYSIS_OPTIONS = ("out", "keep_all")


def parser() -> VerbParser:
    """Return the command line."""
    made = VerbParser(
        "listening_test",
        ("runs/mine", "runs/first runs/second --out listening/both --clips 5", "--analyse answers/*.json"),
    )
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "runs", metavar="RUN", nargs="*", default=[], help="run folders, .ckpt files, demo, or a sweep"
    )
    what.add_argument("--analyse", metavar="FILE", nargs="+", help="files of answers, instead of runs")
    made.add_out(f"a new folder (default: {LISTENING_TEST}), or that of the analysis")
    made.add_clips("clips of each direction", LISTENING_CLIPS)
    made.add_argument(
        "--abx",
        metavar="N",
        type=positive_int,
        help=f"ABX trials of each two systems (default: {ABX_TRIALS})",
    )
    made.add_corpus("the corpus with the held-out clips (default: the first run's own)")
    made.add_vocoder()
    made.add_device()
    made.add_argument(
        "--keep-all", action="store_true", help="analyse also listeners who missed the hidden reference"
    )
    return made


@handle_user_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
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
