"""Put several runs side by side: one table, what differs, and how sure it is."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser


def parser() -> VerbParser:
    """Return the command line."""
    made = VerbParser(
        "compare",
        ("runs/first runs/second", "runs/sweep_DATE", "runs/first runs/second --out comparison"),
    )
    made.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="run folders, .ckpt files, reports, or a sweep's folder; others are compared with the first",
    )
    made.add_out("folder of the page (default: comparison beside the runs)")
    made.add_corpus("the corpus with the held-out clips, if it has moved")
    return made


@handle_user_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.reports.comparison.compare import compare

    compare(**options)


if __name__ == "__main__":
    main()
