"""Verb `compare`: compare the reports of several trained models on one page."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "compare",
        ("runs/first runs/second", "runs/sweep_DATE", "runs/first runs/second --out comparison"),
    )
    verb_parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="run folders, .ckpt files, reports, or the folder of a sweep; the first is the baseline",
    )
    verb_parser.add_out("the folder of the page (default: `comparison` beside the runs)")
    verb_parser.add_corpus("the corpus with the held-out clips, if its path changed")
    verb_parser.add_trust_package()
    return verb_parser


@handle_user_errors("compare")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.reports.comparison.compare import compare

    compare(**options)


if __name__ == "__main__":
    main()
