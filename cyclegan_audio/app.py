"""Verb `app`: open a page in the browser to translate songs and to train pairs."""

from collections.abc import Sequence

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser, positive_int
from cyclegan_audio.utils.defaults import APP_PORT, RUNS


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "app",
        ("--port 7860", "--runs music/runs", "--runs music/runs --port 7861"),
        details="Open the address that it prints. It answers on this machine only.",
    )
    verb_parser.add_argument(
        "--port", type=positive_int, metavar="N", help=f"the port of the page (default: {APP_PORT})"
    )
    verb_parser.add_argument(
        "--runs", metavar="DIR", help=f"the folder of runs, corpora and reports (default: {RUNS})"
    )
    return verb_parser


@handle_user_errors("app")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.web.server import serve

    serve(**options)


if __name__ == "__main__":
    main()
