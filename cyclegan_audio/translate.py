"""Verb `translate`: translate files, folders or a live stream with a trained model."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.cli.options import PRETRAINED_HELP, VerbParser, number
from cyclegan_audio.translation.amounts import Amount, as_amount
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.utils.hints import command_line, print_next_commands, suggest_path
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.progress import ProgressBar, progress_bar

if TYPE_CHECKING:
    from cyclegan_audio.translation.translator import Translator

STREAM = "-"  # standard input or output
STREAM_EXAMPLE = "runs/mine - - --to trap < song.wav > out.wav"
LOAD_OPTIONS = ("checkpoint", "vocoder", "device", "shifts", "trust_packages")  # of `Translator.load`


def parser() -> VerbParser:
    """Return the parser of the command line."""
    verb_parser = VerbParser(
        "translate",
        (
            "demo song.mp3 out.wav --to rnb",
            "runs/mine music/lofi out --to trap --suffix .mp3",
            STREAM_EXAMPLE,
        ),
        details="A folder includes its subfolders. A stream has a latency of some seconds.",
    )
    verb_parser.add_run(f"a run folder, a .ckpt or exported .onnx file, {PRETRAINED_HELP}")
    verb_parser.add_argument(
        "inputs", metavar="INPUT", nargs="+", help="audio files of any format, folders, or - (standard input)"
    )
    verb_parser.add_argument(
        "output",
        metavar="OUTPUT",
        help="an audio file, a folder (for a folder or several songs), or - (standard output)",
    )
    verb_parser.add_to("the target genre, one of the two genres of the model", required=True)
    verb_parser.add_argument(
        "--amount",
        type=amount,
        default=1.0,
        metavar="X",
        help="strength of the translation, from 0 (the input) to 1, or one for drums and one for the rest: "
        "drums=1,rest=0.3 (default: 1)",
    )
    verb_parser.add_translation_options()
    verb_parser.add_argument(
        "--suffix",
        default=".wav",
        help="format of the files in an output folder: .wav (default), .flac, .mp3, .ogg or .m4a",
    )
    verb_parser.add_overwrite("translate songs again if their output exists")
    verb_parser.add_argument(
        "--raw", default=None, metavar="RATE:CHANNELS", help="streams are raw 16-bit samples, not WAV"
    )
    return verb_parser


def amount(text: str) -> float | Amount:
    """Parse `--amount`: a number, or the shares of drums and rest."""
    return Amount.parse(text) if "=" in text else number(text)


@handle_user_errors("translate")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the options of `parser`; `arguments` are those of the command line by default."""
    options = parser().parse_args(arguments)
    is_live = STREAM in (*options.inputs, options.output)
    if is_live and [*options.inputs, options.output] != [STREAM, STREAM]:
        raise UserError("a stream needs - as its only input and as output; for files name both")
    from cyclegan_audio.inference.checkpoints import resolve_run

    load_options = {name: value for name, value in vars(options).items() if name in LOAD_OPTIONS}
    resolve_run(options.run, load_options.get("checkpoint"))  # a missing run is named before a missing song
    jobs = [] if is_live else plan(options.inputs, options.output, options.suffix, options.overwrite)

    from cyclegan_audio.translation.translator import Translator

    translator = Translator.load(options.run, **load_options)
    options.to = translator.model.genre(options.to)
    translator.model.generator(options.to)  # refuses an invalid target before any work
    options.amount = as_amount(options.amount)
    if translator.model.normalisation:
        _print_normalisation(translator, is_live)
    if is_live:
        _translate_stream(translator, options.to, options.amount, options.raw)
    else:
        _translate_all(translator, jobs, options.to, options.amount)
        print_next_commands(*_next_commands(options.run, load_options.get("checkpoint")))


def _next_commands(run: str, checkpoint: str | None) -> list[str]:
    """Return the next commands: evaluate the user's run, or prepare a corpus after a shipped model."""
    if Path(run).suffix == ".onnx":
        return []
    if Path(run).exists():
        options = ["--checkpoint", checkpoint] if checkpoint is not None else []
        return [command_line("evaluate", run, *options)]
    return [command_line("prepare", *2 * ("--genre", "NAME=FOLDER"), "corpus=data/mine")]


def _print_normalisation(translator: "Translator", is_live: bool) -> None:
    """Print how the input is normalised for the generator, as in training."""
    exception = "; a stream keeps its loudness" if is_live else ""
    echo(
        f"as in training, the input of the model is {translator.normalisation}{exception}",
        file=sys.stderr if is_live else sys.stdout,
        flush=True,
    )


def plan(
    inputs: Sequence[str | Path], output: str | Path, suffix: str = ".wav", overwrite: bool = False
) -> list[tuple[Path, Path]]:
    """Pair each input file with its output file, and check all paths before the work starts.

    One file becomes a file, or goes into a folder (if `output` is one or has no suffix). Several files or a
    folder go into a folder and keep their relative paths.

    Args:
        inputs: audio files or folders.
        output: a file or a folder.
        suffix: suffix of the files in an output folder, with or without a dot.
        overwrite: whether to include songs whose output exists.

    Returns:
        (input, output) for each song.

    Raises:
        UserError: an input is missing or contains no audio, two outputs or an input and an output are the
            same file, or all outputs exist or one cannot be written.
    """
    from cyclegan_audio.audio.io import AUDIO_SUFFIXES, check_writable

    files = [pair for name in inputs for pair in _list_audio(Path(name))]
    out = Path(output)
    several = len(inputs) > 1 or Path(inputs[0]).is_dir()
    if several and (out.is_file() or out.suffix.lower() in AUDIO_SUFFIXES):
        raise UserError(f"several songs cannot be written to one file ({out}); give a folder as output")
    into_folder = several or out.is_dir() or not out.suffix
    if not several and into_folder and not out.is_dir():
        echo(f"{out} has no suffix such as .wav; the output goes into a folder of that name", file=sys.stderr)
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    jobs = [(path, (out / name).with_suffix(suffix) if into_folder else out) for path, name in files]
    claimed: dict[Path, Path] = {path.resolve(): path for path, _ in jobs}
    for path, target in jobs:
        if target.resolve() in claimed:
            other = claimed[target.resolve()]
            raise UserError(f"the output of {path} would overwrite {other}; give another output or --suffix")
        check_writable(target)
        claimed[target.resolve()] = target
    return jobs if overwrite else _unfinished(jobs)


def _unfinished(jobs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Return the jobs whose output does not exist yet.

    Raises:
        UserError: all outputs exist.
    """
    unfinished = [(source, target) for source, target in jobs if not target.exists()]
    if not unfinished:
        if len(jobs) == 1:
            raise UserError(f"{jobs[0][1]} exists; add --overwrite to translate the song again")
        raise UserError(f"all {len(jobs)} outputs exist; add --overwrite to translate the songs again")
    if len(unfinished) < len(jobs):
        n_done = len(jobs) - len(unfinished)
        echo(
            f"skipping {n_done} of {len(jobs)} songs, whose output exists (--overwrite translates them again)"
        )
    return unfinished


def _list_audio(path: Path) -> list[tuple[Path, Path]]:
    """Return (file, its path relative to `path`) for each audio file of a folder, or for one file."""
    from cyclegan_audio.audio.io import find_audio

    if path.is_dir():
        files = [(file, file.relative_to(path)) for file in find_audio(path)]
        if not files:
            raise UserError(f"{path} contains no audio files; give another folder, or a file")
        return files
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path{suggest_path(path)}")
    return [(path, Path(path.name))]


def _translate_all(translator: "Translator", jobs: list[tuple[Path, Path]], to: str, amount: Amount) -> None:
    """Translate all songs with a progress bar; a song that fails does not stop the others.

    Raises:
        UserError: songs failed; the message names them.
    """
    failures = []
    with progress_bar(f"translating to {to}", len(jobs), "songs" if len(jobs) > 1 else "") as bar:
        for index, (source, target) in enumerate(jobs):
            try:
                on_progress = partial(_update, bar, index)
                lines = _translate_file(translator, source, target, to, amount, on_progress)
            except UserError as error:
                if len(jobs) == 1:
                    raise
                failures.append(source)
                lines = [f"{source}  failed: {error}"]
            echo(*lines, flush=True)
            bar.update(index + 1)
    if failures:
        names = ", ".join(map(str, failures))
        raise UserError(
            f"{len(failures)} of {len(jobs)} songs failed; the others are translated. Failed: {names}"
        )


def _update(bar: ProgressBar, n_done: int, fraction: float) -> None:
    bar.update(n_done + fraction)


def _translate_file(
    translator: "Translator",
    source: Path,
    target: Path,
    to: str,
    amount: Amount,
    on_progress: Callable[[float], None],
) -> list[str]:
    """Translate one song; return the lines to print about it."""
    start, notes = time.perf_counter(), list[str]()
    seconds = translator.translate_file(
        source, target, to, amount=amount, on_progress=on_progress, on_note=notes.append, overwrite=True
    )
    duration = f"{seconds:.1f} s of music to {to} in {time.perf_counter() - start:.1f} s"
    return [f"{target}  ({duration})", *(f"  note: {note}" for note in notes)]


def _translate_stream(translator: "Translator", to: str, amount: Amount, raw: str | None) -> None:
    """Translate standard input to standard output until the input ends.

    Raises:
        UserError: the format or the sample rate of the input is invalid, or standard output is closed.
    """
    from cyclegan_audio.audio.io import MAX_RATE, MIN_RATE
    from cyclegan_audio.translation import streaming
    from cyclegan_audio.utils.devices import single_threaded

    source = sys.stdin.buffer
    rate, channels = _parse_raw_format(raw) if raw else streaming.read_wav_header(source)
    check_number("the sample rate of the stream", rate, MIN_RATE, MAX_RATE, integer=True)
    echo(f"latency: {streaming.latency_s(translator, rate):.1f} s", file=sys.stderr, flush=True)
    _write_output(b"" if raw else streaming.wav_header(rate, channels))
    with single_threaded():
        blocks = streaming.read_pcm(source, channels)
        for block in streaming.translate_live(translator, blocks, rate, channels, to, amount):
            _write_output(streaming.write_pcm(block))


def _write_output(data: bytes) -> None:
    """Write to standard output without delay.

    Raises:
        UserError: its reader has gone, or the disk is full.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # Python would flush the rest, and fail, once more at exit
        raise UserError(
            f"cannot write to standard output ({error.strerror}); the rest is not translated"
        ) from error


def _parse_raw_format(raw: str) -> tuple[int, int]:
    rate, _, channels = raw.partition(":")
    if not (rate.isdigit() and channels.isdigit() and int(rate) and int(channels)):
        raise UserError(f"--raw must be RATE:CHANNELS, such as 44100:2, got {raw}")
    return int(rate), int(channels)


if __name__ == "__main__":
    main()
