"""Export a run's generators: `cyclegan-audio export RUN out.onnx` (.pt2 for torch.export)."""

import time
from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line, print_next_commands


def parser() -> VerbParser:
    """Return the command line."""
    made = VerbParser("export", ("runs/mine mine.onnx", "runs/mine mine.onnx --to trap", "demo demo.pt2"))
    made.add_run()
    made.add_argument("output", metavar="FILE", help="file to write: .onnx, or .pt2 for torch.export")
    made.add_to("only this direction: half the size and time")
    made.add_checkpoint()
    made.add_overwrite("replace a file that is there")
    return made


@handle_user_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
    options = parser().parse_args(arguments)
    path = Path(options.output)
    if path.exists() and not options.overwrite:
        raise UserError(f"{path} exists; name another file, or add --overwrite")

    if Path(options.run).suffix in (".onnx", ".pt2"):
        raise UserError(f"{options.run} is an export already; give the run that it was made from")

    from cyclegan_audio.inference.checkpoints import load_model
    from cyclegan_audio.inference.export import export_model

    start = time.perf_counter()
    to = getattr(options, "to", None)
    model = load_model(options.run, "cpu", getattr(options, "checkpoint", None))
    to = None if to is None else model.genre(to)
    difference = export_model(model, path, to)
    size, seconds = path.stat().st_size / 2**20, time.perf_counter() - start
    print(f"{path}  ({size:.1f} MiB in {seconds:.0f} s; largest difference from the model {difference:.1g})")
    if path.suffix == ".onnx":
        print_next_commands(
            command_line("translate", path, "song.mp3", "out.wav", "--to", to or model.targets[-1])
        )
    else:
        print(f"load it by torch.export.load({str(path)!r})")


if __name__ == "__main__":
    main()
