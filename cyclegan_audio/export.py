"""Verb `export`: export the generators of a trained model to ONNX (.onnx) or torch.export (.pt2)."""

import time
from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.printing import echo


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "export", ("runs/mine mine.onnx", "runs/mine mine.onnx --to trap", "demo demo.pt2")
    )
    verb_parser.add_run()
    verb_parser.add_argument(
        "output", metavar="FILE", help="the file to write: .onnx, or .pt2 for torch.export"
    )
    verb_parser.add_to("export only the generator to this genre: half the size and time")
    verb_parser.add_checkpoint()
    verb_parser.add_trust_package()
    verb_parser.add_overwrite("replace an existing file")
    return verb_parser


@handle_user_errors("export")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = parser().parse_args(arguments)
    path = Path(options.output)
    if path.exists() and not options.overwrite:
        raise UserError(f"{path} exists; choose another file, or add --overwrite")

    if Path(options.run).suffix in (".onnx", ".pt2"):
        raise UserError(f"{options.run} is already an export; give the run that it comes from")

    from cyclegan_audio.inference.checkpoints import load_model
    from cyclegan_audio.inference.export import export_model

    start = time.perf_counter()
    to = getattr(options, "to", None)
    model = load_model(
        options.run,
        "cpu",
        getattr(options, "checkpoint", None),
        trust_packages=getattr(options, "trust_packages", ()),
    )
    to = None if to is None else model.genre(to)
    difference = export_model(model, path, to)
    size, seconds = path.stat().st_size / 2**20, time.perf_counter() - start
    echo(f"{path}  ({size:.1f} MiB in {seconds:.0f} s; maximum difference from the model {difference:.1g})")
    if path.suffix == ".onnx":
        print_next_commands(
            command_line("translate", path, "song.mp3", "out.wav", "--to", to or model.targets[-1])
        )
    else:
        echo(f"load it with torch.export.load({str(path)!r})")


if __name__ == "__main__":
    main()
