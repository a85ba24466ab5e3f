"""Translate songs by a trained model: `cyclegan-audio translate RUN song.mp3 out.wav --to trap`."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import VerbParser, number
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.hints import command_line, say_next, suggest_path
from cyclegan_audio.utils.progress import ProgressBar, progress_bar

if TYPE_CHECKING:
    from cyclegan_audio.translation.translator import Translator

STREAM = "-"  # standard input or output
STREAM_EXAMPLE = "runs/mine - - --to trap < song.wav > out.wav"
LOAD_OPTIONS = ("checkpoint", "vocoder", "device", "shifts")  # of `Translator.load`


def parser() -> VerbParser:
    """Return the command line."""
    made = VerbParser(
        "translate",
        (
            "demo song.mp3 out.wav --to rnb",
            "runs/mine music/lofi out --to trap --suffix .mp3",
            STREAM_EXAMPLE,
        ),
        more="A folder is translated with all folders in it. A stream comes some seconds late.",
    )
    made.add_run("a run folder, a .ckpt or exported .onnx file, or demo (ships with the package)")
    made.add_argument("inputs", metavar="INPUT", nargs="+", help="audio files of any format, folders, or -")
    made.add_argument(
        "output", metavar="OUTPUT", help="an audio file; a folder for several songs or a folder; or -"
    )
    made.add_to("one of the two genres of the model", required=True)
    made.add_argument(
        "--amount", type=number, default=1.0, metavar="X", help="0 (the source) to 1: how much (default: 1)"
    )
    made.add_translation_options()
    made.add_argument(
        "--suffix",
        default=".wav",
        help="format of files in an output folder: .wav (default), .flac, .mp3, .ogg or .m4a",
    )
    made.add_overwrite("make songs again that are there already")
    made.add_argument(
        "--raw", default=None, metavar="RATE:CHANNELS", help="streams are bare samples of 16 bit, not WAV"
    )
    return made


@handle_user_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see `parser`."""
    options = parser().parse_args(arguments)
    is_live = STREAM in (*options.inputs, options.output)
    if is_live and [*options.inputs, options.output] != [STREAM, STREAM]:
        raise UserError("a stream goes from - to -, alone; to use files, name both")
    jobs = [] if is_live else plan(options.inputs, options.output, options.suffix, options.overwrite)

    from cyclegan_audio.translation.translator import Translator

    given = {name: value for name, value in vars(options).items() if name in LOAD_OPTIONS}
    translator = Translator.load(options.run, **given)
    options.to = translator.pair.genre(options.to)
    translator.pair.generator(options.to)  # a genre that it cannot make is refused before any work
    check_number("amount", options.amount, 0, 1)
    if translator.pair.normalisation:
        _say_match(translator, is_live)
    if is_live:
        _translate_stream(translator, options.to, options.amount, options.raw)
    else:
        _translate_all(translator, jobs, options.to, options.amount)
        say_next(*_next(options.run, given.get("checkpoint")))


def _next(run: str, checkpoint: str | None) -> list[str]:
    """What may follow a translation: to judge one's own run, or to make one."""
    if Path(run).suffix == ".onnx":
        return []
    if Path(run).exists():
        chosen = ["--checkpoint", checkpoint] if checkpoint is not None else []
        return [command_line("evaluate", run, *chosen)]
    return [command_line("prepare", *2 * ("--genre", "NAME=FOLDER"), "corpus=data/mine")]


def _say_match(translator: "Translator", is_live: bool) -> None:
    """What the run was trained with, and so is done to the input before the generator sees it."""
    unheard = "; a stream's loudness is not known and stays" if is_live else ""
    where = sys.stderr if is_live else sys.stdout
    print(
        f"as in training, the music is {translator.normalisation} for the model{unheard}",
        file=where,
        flush=True,
    )


def plan(
    inputs: Sequence[str | Path], output: str | Path, suffix: str = ".wav", overwrite: bool = False
) -> list[tuple[Path, Path]]:
    """Which file becomes which, everything about the paths checked before the work.

    One file goes to a file, or into a folder (`output` exists as one, or has no suffix); several, or a
    folder, go into a folder and keep their names and their places below the folder given. Results that are
    there already are kept, and with several songs left out of the plan, unless `overwrite`.

    Raises:
        UserError: an input is missing or holds no audio, two results or an input and a result are the same
            file, or the output is there already or cannot be written.
    """
    from cyclegan_audio.audio.io import AUDIO_SUFFIXES, check_writable

    found = [pair for name in inputs for pair in _audio_below(Path(name))]
    out = Path(output)
    several = len(inputs) > 1 or Path(inputs[0]).is_dir()
    if several and (out.is_file() or out.suffix.lower() in AUDIO_SUFFIXES):
        raise UserError(f"several songs cannot become the one file {out}; give a folder as output")
    into_folder = several or out.is_dir() or not out.suffix
    if not several and into_folder and not out.is_dir():
        print(f"{out} has no suffix such as .wav, so it becomes a folder", file=sys.stderr)
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    jobs = [(path, (out / name).with_suffix(suffix) if into_folder else out) for path, name in found]
    taken: dict[Path, Path] = {path.resolve(): path for path, _ in jobs}
    for path, target in jobs:
        if target.resolve() in taken:
            other = taken[target.resolve()]
            raise UserError(f"{path} would be written over {other}; give another output or --suffix")
        check_writable(target)
        taken[target.resolve()] = target
    return jobs if overwrite else _without_done(jobs)


def _without_done(jobs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The jobs whose result is not there yet.

    Raises:
        UserError: all results are there.
    """
    left = [(source, target) for source, target in jobs if not target.exists()]
    if not left:
        if len(jobs) == 1:
            raise UserError(f"{jobs[0][1]} is already there and is kept; --overwrite makes it again")
        raise UserError(
            f"all {len(jobs)} results are already there and are kept; --overwrite makes them again"
        )
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} songs are there already and kept (--overwrite)")
    return left


def _audio_below(path: Path) -> list[tuple[Path, Path]]:
    """(file, its name below the folder given) for a file or a folder."""
    from cyclegan_audio.audio.io import find_audio

    if path.is_dir():
        files = [(file, file.relative_to(path)) for file in find_audio(path)]
        if not files:
            raise UserError(f"{path} holds no audio files; give a folder with some, or a file")
        return files
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path of the song{suggest_path(path)}")
    return [(path, Path(path.name))]


def _translate_all(translator: "Translator", jobs: list[tuple[Path, Path]], to: str, amount: float) -> None:
    """Do the jobs under a progress bar; a song that fails does not keep the others from being done.

    Raises:
        UserError: a song failed; with several, which ones.
    """
    failures = []
    with progress_bar(f"translating to {to}", len(jobs), "songs" if len(jobs) > 1 else "") as bar:
        for number, (source, target) in enumerate(jobs):
            try:
                line = _translate_file(translator, source, target, to, amount, partial(_show, bar, number))
            except UserError as error:
                if len(jobs) == 1:
                    raise
                failures.append(source)
                line = f"{source}  failed: {error}"
            print(line, flush=True)
            bar.update(number + 1)
    if failures:
        names = ", ".join(map(str, failures))
        raise UserError(f"{len(failures)} of {len(jobs)} songs failed, the others are done: {names}")


def _show(bar: ProgressBar, done: int, share: float) -> None:
    bar.update(done + share)


def _translate_file(
    translator: "Translator",
    source: Path,
    target: Path,
    to: str,
    amount: float,
    on_progress: Callable[[float], None],
) -> str:
    """Translate one song; returns the line that says so."""
    start = time.perf_counter()
    seconds = translator.translate_file(
        source, target, to, amount=amount, on_progress=on_progress, overwrite=True
    )
    return f"{target}  ({seconds:.1f} s of music to {to} in {time.perf_counter() - start:.1f} s)"


def _translate_stream(translator: "Translator", to: str, amount: float, raw: str | None) -> None:
    """Standard input to standard output until the input ends.

    Raises:
        UserError: the input is of another form, has no sample rate of music, or nobody takes the output.
    """
    from cyclegan_audio.audio.io import MAX_RATE, MIN_RATE
    from cyclegan_audio.translation import streaming
    from cyclegan_audio.utils.devices import single_threaded

    source = sys.stdin.buffer
    rate, channels = _raw_form(raw) if raw else streaming.read_wav_header(source)
    check_number("the stream's sample rate", rate, MIN_RATE, MAX_RATE, integer=True)
    print(f"late by {streaming.latency_s(translator, rate):.1f} s", file=sys.stderr, flush=True)
    _hand_on(b"" if raw else streaming.wav_header(rate, channels))
    with single_threaded():
        blocks = streaming.read_pcm(source, channels)
        for block in streaming.translate_live(translator, blocks, rate, channels, to, amount):
            _hand_on(streaming.write_pcm(block))


def _hand_on(data: bytes) -> None:
    """Write to standard output at once.

    Raises:
        UserError: its reader is gone, or the disk is full.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # or what is left would be tried, and fail, once more at the end
        raise UserError(
            f"standard output takes no more ({error.strerror}); the rest is not translated"
        ) from error


def _raw_form(raw: str) -> tuple[int, int]:
    rate, _, channels = raw.partition(":")
    if not (rate.isdigit() and channels.isdigit() and int(rate) and int(channels)):
        raise UserError(f"--raw {raw} is not RATE:CHANNELS, such as 44100:2")
    return int(rate), int(channels)


if __name__ == "__main__":
    main()
