"""Measure whether a translation keeps the levels of passages: songs with falls, a fade-out and a crescendo.

python experiments/012_attack/dynamics.py demo SONGS ... --to rnb --out experiments/012_attack/dynamics.csv

Each song is cut to 32 s, and its level follows each course of `COURSES`. Columns of the table, in dB, without
the 50 ms on either side of a step:

`raised` and `raised LU`: how much more the quiet passage rose than the rest, by RMS and by loudness (without
the absolute gate), minus the same number of the song without a fall whose result follows the course exactly;
`as is`: the RMS number without that subtraction;
`worst 3 s`, `mean 3 s` and `mean 0.4 s`: deviation of the course of levels from the source's over windows
without a step, beside that of the song without a fall, relative to the loud part;
`smear ms`: how long, on the quiet side of a step, levels of 5 ms exceed the passage's own rise by 6 dB.
"""

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.translation.translator import Translator

SECONDS = 32.0
RATE = 44100
COLUMNS = ("raised", "raised LU", "as is", "worst 3 s", "mean 3 s", "mean 0.4 s", "smear ms")
EDGE = round(0.05 * RATE)
SMEAR_S, SMEAR_DB = 0.005, 6.0
LOWEST_DB = -130.0  # levels below it count as silence

Course = Callable[[Tensor], Tensor]  # from seconds to dB


def passage(start_s: float, stop_s: float, depth_db: float) -> Course:
    return lambda t: torch.where((t >= start_s) & (t < stop_s), -depth_db, 0.0)


def ramp(start_s: float, stop_s: float, first_db: float, last_db: float) -> Course:
    return lambda t: torch.lerp(
        torch.tensor(first_db), torch.tensor(last_db), ((t - start_s) / (stop_s - start_s)).clamp(0, 1)
    )


COURSES: dict[str, Course] = {
    "flat": passage(0, 0, 0.0),
    **{f"half -{depth}": passage(16.1, 99, float(depth)) for depth in (20, 40, 60, 80)},
    **{
        f"{length} s -{depth}": passage(7, 7.0 + length, float(depth))
        for length in (5, 10, 20)
        for depth in (40, 80)
    },
    "fade-out to -60": ramp(22, 32, 0.0, -60.0),
    "crescendo from -60": ramp(0, 10, -60.0, 0.0),
}


def levels_db(waveform: Tensor, window_s: float) -> Tensor:
    """Return the RMS level of consecutive windows of a waveform (C, T) in dB."""
    window = round(window_s * RATE)
    parts = waveform[:, : waveform.shape[1] // window * window].unflatten(1, (-1, window))
    return 10 * parts.double().square().mean((0, 2)).clamp_min(10 ** (LOWEST_DB / 10)).log10()


def rms_db(waveform: Tensor) -> float:
    return float(levels_db(waveform, waveform.shape[1] / RATE)[0])


def lufs(waveform: Tensor) -> float:
    """Return the loudness without the absolute gate: that of the passage at -20 dB, shifted back."""
    shift_db = rms_db(waveform) + 20
    meter = LoudnessMeter(RATE)
    meter.push(waveform * 10 ** (-shift_db / 20))
    return meter.integrated_lufs() + shift_db


@dataclass
class Changed:
    """A song before and after its translation, (C, T) each."""

    source: Tensor
    result: Tensor

    def rise(self, is_quiet: Tensor, is_loud: Tensor, level: Callable[[Tensor], float]) -> float:
        """Return how much more the quiet samples rose than the loud ones."""
        quiet, loud = (level(self.result[:, x]) - level(self.source[:, x]) for x in (is_quiet, is_loud))
        return quiet - loud

    def course(self, window_s: float) -> Tensor:
        """Return the change of level of consecutive windows."""
        return levels_db(self.result, window_s) - levels_db(self.source, window_s)


def deviation_db(song: Changed, flat: Changed, is_loud: Tensor, is_used: Tensor, window_s: float) -> Tensor:
    """Return the change of level of the windows in use, beside the flat song's and the loud part's."""
    change = song.course(window_s) - flat.course(window_s)
    window = round(window_s * RATE)
    loud, used = (x[: len(change) * window].unflatten(0, (-1, window)).all(1) for x in (is_loud, is_used))
    return change[used] - change[loud & used].mean()


def smear_ms(song: Changed, flat: Changed, is_quiet: Tensor) -> float:
    """Return the longest time, on the quiet side of a step, with 6 dB more than the quiet passage rises."""
    change = song.course(SMEAR_S) - flat.course(SMEAR_S)
    window, times = round(SMEAR_S * RATE), [0.0]
    quiet = is_quiet[: len(change) * window].unflatten(0, (-1, window)).all(1)
    change -= change[quiet].median()
    for edge in torch.nonzero(quiet[1:] != quiet[:-1])[:, 0] + 1:
        side = change[edge:] if quiet[edge] else change[:edge].flip(0)
        times.append(float((side > SMEAR_DB).int().cumprod(0).sum()) * SMEAR_S * 1000)
    return max(times)


def measure(name: str, song: Changed, flat: Changed) -> dict[str, float]:
    """Return the numbers of COLUMNS for one song and course."""
    gain_db = COURSES[name](torch.arange(song.source.shape[1]) / RATE)
    is_step = not name.startswith(("fade", "crescendo"))
    is_used = torch.ones_like(gain_db, dtype=torch.bool)
    for edge in torch.nonzero(gain_db.diff().abs() > 1)[:, 0]:
        is_used[max(int(edge) - EDGE, 0) : int(edge) + EDGE] = False
    is_quiet, is_loud = (gain_db < -10), gain_db == 0
    parts = is_quiet & is_used, is_loud & is_used
    exact = Changed(flat.source * 10 ** (gain_db / 20), flat.result * 10 ** (gain_db / 20))
    as_is = song.rise(*parts, rms_db)
    by_window = {s: deviation_db(song, flat, is_loud, is_used, s) for s in (3.0, 0.4)}
    return {
        "raised": as_is - exact.rise(*parts, rms_db),
        "raised LU": song.rise(*parts, lufs) - exact.rise(*parts, lufs),
        "as is": as_is,
        "worst 3 s": float(by_window[3.0][by_window[3.0].abs().argmax()]),
        "mean 3 s": float(by_window[3.0].abs().mean()),
        "mean 0.4 s": float(by_window[0.4].abs().mean()),
        "smear ms": smear_ms(song, flat, is_quiet) if is_step else float("nan"),
    }


def excerpt(path: Path, start_s: float) -> Tensor:
    """Return 32 s of a song (C, T), repeated if it is shorter."""
    song = decode(path, sample_rate=RATE)[0]
    length = round(SECONDS * RATE)
    song = song[:, min(round(start_s * RATE), max(song.shape[1] - length, 0)) :]
    return song.repeat(1, -(-length // song.shape[1]))[:, :length]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("songs", type=Path, nargs="+")
    parser.add_argument("--to", required=True)
    parser.add_argument("--vocoder", default="hybrid")
    parser.add_argument("--courses", nargs="+", default=list(COURSES))
    parser.add_argument("--start", type=float, default=20.0, help="seconds to skip in songs that are longer")
    parser.add_argument("--note", default="", help="first column of the table")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    translator = Translator.load(options.model, vocoder=options.vocoder, device="cpu")
    is_new = not options.out.exists()
    with options.out.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["note", "song", "to", "vocoder", "course", *COLUMNS, "cpu s"])
        for path in options.songs:
            song = excerpt(path, options.start)
            flat = Changed(song, translator(song, RATE, options.to))
            for name in options.courses:
                if name == "flat":
                    continue
                source = song * 10 ** (COURSES[name](torch.arange(song.shape[1]) / RATE) / 20)
                started = time.process_time()
                values = measure(name, Changed(source, translator(source, RATE, options.to)), flat)
                row = [f"{value:.2f}" for value in values.values()]
                cpu_s = f"{time.process_time() - started:.1f}"
                writer.writerow([options.note, path.stem, options.to, options.vocoder, name, *row, cpu_s])
                file.flush()


if __name__ == "__main__":
    main()
