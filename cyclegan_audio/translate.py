"""Translate audio files: `python -m cyclegan_audio.translate RUN song.mp3 out.wav --to trap`."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_audio.errors import UserError, one_line_errors

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cyclegan_audio.translation.translator import Translator


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m cyclegan_audio.translate", description=__doc__)
    made.add_argument(
        "run", help="run folder, .ckpt or exported .onnx file, or 'demo' (ships with the package)"
    )
    made.add_argument("inputs", nargs="+", metavar="input", help="audio files of any format, or folders")
    made.add_argument("output", help="audio file; a folder where there are several inputs or a folder")
    made.add_argument("--to", required=True, metavar="GENRE", help="one of the pair's two genres")
    made.add_argument(
        "--vocoder",
        default="hybrid",
        help="hybrid (default), mask, griffin_lim, neural=RUN or pretrained=FOLDER",
    )
    made.add_argument("--checkpoint", metavar="FILE", help="this checkpoint instead of the run's own choice")
    made.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    made.add_argument("--suffix", default=".wav", help="format of files in an output folder (default .wav)")
    made.add_argument("--debug", action="store_true", help="show stack traces")
    return made


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
    options = parser().parse_args(arguments)
    if options.debug:
        os.environ["HYDRA_FULL_ERROR"] = "1"
    jobs = plan(options.inputs, options.output, options.suffix)

    from cyclegan_audio.translation.translator import Translator

    translator = Translator.load(
        options.run, checkpoint=options.checkpoint, vocoder=options.vocoder, device=options.device
    )
    translator.pair.generator(options.to)  # an unknown genre is refused before any work
    _translate_all(translator, jobs, options.to)


def plan(inputs: Sequence[str | Path], output: str | Path, suffix: str = ".wav") -> list[tuple[Path, Path]]:
    """Which file becomes which, everything about the paths checked before the work.

    One file goes to a file, or into a folder (`output` exists as one, or has no suffix); several, or a
    folder, go into a folder and keep their names and their places below the folder given.

    Raises:
        UserError: an input is missing or holds no audio, two results or an input and a result are the same
            file, or the output cannot be written.
    """
    from cyclegan_audio.audio.files import AUDIO_SUFFIXES, check_writable

    found = [pair for name in inputs for pair in _audio_below(Path(name))]
    out = Path(output)
    several = len(inputs) > 1 or Path(inputs[0]).is_dir()
    if several and (out.is_file() or out.suffix.lower() in AUDIO_SUFFIXES):
        raise UserError(f"several songs cannot become the one file {out}; give a folder as output")
    into_folder = several or out.is_dir() or not out.suffix
    jobs = [(path, (out / name).with_suffix(suffix) if into_folder else out) for path, name in found]
    taken: dict[Path, Path] = {path.resolve(): path for path, _ in jobs}
    for path, target in jobs:
        if target.resolve() in taken:
            other = taken[target.resolve()]
            raise UserError(f"{path} would be written over {other}; give another output or --suffix")
        check_writable(target)
        taken[target.resolve()] = target
    return jobs


def _audio_below(path: Path) -> list[tuple[Path, Path]]:
    """(file, its name below the folder given) for a file or a folder."""
    from cyclegan_audio.audio.files import find_audio

    if path.is_dir():
        files = [(file, file.relative_to(path)) for file in find_audio(path)]
        if not files:
            raise UserError(f"{path} holds no audio files; give a folder with some, or a file")
        return files
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path of the song")
    return [(path, Path(path.name))]


def _translate_all(translator: "Translator", jobs: list[tuple[Path, Path]], to: str) -> None:
    """Do the jobs under a progress bar; a song that fails does not keep the others from being done.

    Raises:
        UserError: a song failed; with several, how many and the first reason.
    """
    from rich.progress import Progress

    failures = []
    with Progress() as progress:
        task = progress.add_task(f"to {to}", total=len(jobs))
        for number, (source, target) in enumerate(jobs):
            try:
                line = _translate_file(translator, source, target, to, partial(_show, progress, task, number))
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            except UserError as error:
                failures.append(error)
            progress.update(task, completed=number + 1)
    if len(failures) == 1 and len(jobs) == 1:
        raise failures[0]
    if failures:
        raise UserError(f"{len(failures)} of {len(jobs)} songs failed, the others are done: {failures[0]}")


def _show(progress: "Progress", task: "TaskID", done: int, share: float) -> None:
    progress.update(task, completed=done + share)


def _translate_file(
    translator: "Translator", source: Path, target: Path, to: str, on_progress: Callable[[float], None]
) -> str:
    """Translate one song; returns the line that says so."""
    from cyclegan_audio.audio.files import decode, write

    start = time.perf_counter()
    waveform, rate = decode(source)
    write(target, translator(waveform, rate, to, on_progress), rate)
    taken_s = time.perf_counter() - start
    return f"{target}  ({waveform.shape[-1] / rate:.1f} s of music to {to} in {taken_s:.1f} s)"


if __name__ == "__main__":
    main()
