"""Export a run's generators: `python -m cyclegan_audio.export RUN out.onnx` (.pt2 for torch.export)."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.cli.options import handle_user_errors, parse_options
from cyclegan_audio.errors import UserError
from cyclegan_audio.hints import command_line, say_next


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m cyclegan_audio.export", description=__doc__)
    made.add_argument("run", help="run folder, .ckpt file, or 'demo' (the pair that ships with the package)")
    made.add_argument("output", help="file to write; .onnx or .pt2 says the format")
    made.add_argument("--to", metavar="GENRE", help="only this direction: half the size and time")
    made.add_argument("--checkpoint", metavar="FILE", help="this checkpoint instead of the run's own choice")
    made.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    return made


@handle_user_errors
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
    options = parse_options(parser(), arguments)
    path = Path(options.output)
    if path.exists() and not options.overwrite:
        raise UserError(f"{path} exists; name another file, or add --overwrite")

    from cyclegan_audio.models.checkpoint import load_pair
    from cyclegan_audio.models.exported import export_pair

    start = time.perf_counter()
    pair = load_pair(options.run, "cpu", options.checkpoint)
    difference = export_pair(pair, path, options.to)
    size, seconds = path.stat().st_size / 2**20, time.perf_counter() - start
    print(f"{path}  ({size:.1f} MiB in {seconds:.0f} s; largest difference from the model {difference:.1g})")
    if path.suffix == ".onnx":
        to = options.to or pair.targets[-1]
        say_next(command_line("translate", path, "song.mp3", "out.wav", "--to", to))
    else:
        print(f"load it by torch.export.load({str(path)!r})")


if __name__ == "__main__":
    main()
