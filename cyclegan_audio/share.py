"""Verb `share`: publish a trained model on the Hugging Face Hub, or write what would be published."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.printing import echo

TEXTS = {  # options that become fields of the card
    "license": ("ID", "licence of the weights: mit, cc-by-4.0, cc-by-nc-4.0, other and so on"),
    "data": ("TEXT", "what music the model learnt from"),
    "rights": ("TEXT", "what allows you to share a model that learnt from it"),
    "limits": ("TEXT", "what the model does badly"),
}


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "share",
        (
            "runs/mine me/beats --license cc-by-4.0 --dry-run shared",
            'runs/mine me/beats --license cc-by-4.0 --data "my beats"',
            "demo me/demo --private",
        ),
        details="Others name it hf:OWNER/NAME. The numbers of its report go on its card.",
    )
    verb_parser.add_run()
    verb_parser.add_argument("name", metavar="OWNER/NAME", help="its name on the Hub")
    for option, (metavar, text) in TEXTS.items():
        verb_parser.add_argument(f"--{option}", metavar=metavar, help=text)
    verb_parser.add_corpus("its held-out clips become the picture (default: the corpus of the run)")
    verb_parser.add_argument(
        "--sounds",
        action="store_true",
        default=False,
        help="share the clips as sounds, too, before and after",
    )
    verb_parser.add_argument(
        "--dry-run", metavar="DIR", help="write to this folder exactly what would be uploaded, and stop"
    )
    verb_parser.add_argument(
        "--private", action="store_true", default=False, help="create a private model, which only you can use"
    )
    verb_parser.add_checkpoint()
    verb_parser.add_trust_package()
    return verb_parser


@handle_user_errors("share")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = vars(parser().parse_args(arguments))
    from cyclegan_audio.inference.hub import PREFIX, check_hub_name
    from cyclegan_audio.sharing.folder import write_pair
    from cyclegan_audio.sharing.upload import check_login, upload

    name, run = options["name"].removeprefix(PREFIX), f"{PREFIX}{options['name'].removeprefix(PREFIX)}"
    check_hub_name(name)
    dry_run = options.get("dry_run")
    if dry_run is None:
        check_login()
    chosen: dict[str, Any] = {
        key: options[key] for key in ("corpus", "sounds", "checkpoint", "trust_packages") if key in options
    }
    chosen["texts"] = {key: options[key] for key in TEXTS if key in options}
    with tempfile.TemporaryDirectory(prefix="cyclegan_audio_") as temporary:
        folder = Path(dry_run) if dry_run is not None else Path(temporary) / "pair"
        model, notes = write_pair(options["run"], folder, run, **chosen)
        echo(*(f"note: {note}" for note in notes))
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            echo(f"{file.relative_to(folder)}  ({file.stat().st_size / 1000:.0f} kB)")
        if dry_run is not None:
            echo(f"nothing was uploaded; the folder {folder} is a RUN like any other")
            return
        address, commit = upload(folder, name, options["private"])
    echo(f"shared: {address}", f"exactly this version: {run}@{commit}")
    print_next_commands(command_line("translate", run, "song.mp3", "out.wav", "--to", model.targets[0]))


if __name__ == "__main__":
    main()
