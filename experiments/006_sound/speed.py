"""Compare the wall time of this package with a straightforward pipeline, from audio to audio in memory.

python experiments/006_sound/speed.py SONG --seconds 96 --rounds 3 --threads 1 2
python experiments/006_sound/speed.py --device cuda --no-baseline --threads 1 --csv rounds.csv

The straightforward one loads the whole file, averages the channels, and translates one window at a time in
fp32, with the window's own statistics and no overlap. It inverts each window with InverseMelScale and
GriffinLim (32 rounds) of torchaudio. Generators are untrained, which does not affect the time.
Without SONG the music is a demo song, repeated.
"""

import argparse
import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torchaudio
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.demo import SAMPLE_RATE_HZ
from cyclegan_audio.demo.composition import compose_score
from cyclegan_audio.demo.render import render_song
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.networks.generators import ResnetGenerator

SIZES = {"paper": (64, 9), "small": (16, 6), "tiny": (4, 1)}  # filters, blocks
BASELINE = "straightforward"
WINDOW_S = 4
ITERATIONS = 32
HEAD = "| generator | mel | method | threads | x real time | spread | of the straightforward one's time |"


def make_model(mel: MelSpectrogram, n_filters: int, n_blocks: int, device: str = "cpu") -> TranslationModel:
    """Build a model with untrained generators."""
    torch.manual_seed(0)
    generators = {
        direction: ResnetGenerator(n_filters, n_blocks).eval().to(device) for direction in ("ab", "ba")
    }
    frames = mel.n_frames(WINDOW_S * mel.sample_rate)
    return TranslationModel(("a", "b"), mel, generators, frames, {})


class Plain:
    """The straightforward pipeline."""

    def __init__(self, model: TranslationModel) -> None:
        mel, self.generator = model.mel, model.generators["ab"]
        self.mel = mel
        sizes = {"n_fft": mel.n_fft, "hop_length": mel.hop_length}
        scale = {"n_mels": mel.n_mels, "sample_rate": mel.sample_rate, "f_max": mel.sample_rate / 2}
        self.forward = torchaudio.transforms.MelSpectrogram(**sizes, **scale, power=1)
        self.inverse = torchaudio.transforms.InverseMelScale(mel.n_fft // 2 + 1, **scale, driver="gelsy")
        self.griffin_lim = torchaudio.transforms.GriffinLim(**sizes, n_iter=ITERATIONS, power=1)

    def __call__(self, waveform: Tensor, rate: int) -> Tensor:
        mono = torchaudio.functional.resample(waveform.mean(0), rate, self.mel.sample_rate)
        translated = [self.window(part) for part in mono.split(WINDOW_S * self.mel.sample_rate)]
        back = torchaudio.functional.resample(torch.cat(translated), self.mel.sample_rate, rate)
        return back.expand(len(waveform), -1)

    def window(self, part: Tensor) -> Tensor:
        db = 20 * self.forward(part).clamp_min(self.mel.floor).log10()
        frames = db.shape[1] // 4 * 4
        fake = self.generator(self.mel.normalise(db[None, None, :, :frames]))[0, 0]
        low, high = self.mel.range_db(db)
        mel = self.mel.db_to_mel(self.mel.denormalise(fake, (low, high)))
        return self.griffin_lim(self.inverse(mel))


def demo_music(seconds: int) -> Tensor:
    """Return a demo song (2, T) at `SAMPLE_RATE_HZ`, repeated for `seconds`."""
    song = torch.from_numpy(render_song(compose_score(0), "lofi")[0])
    return song.repeat(1, -(-seconds * SAMPLE_RATE_HZ // song.shape[1]))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("song", type=Path, nargs="?")
    parser.add_argument("--mel", nargs="+", default=["hifi", "paper"])
    parser.add_argument("--seconds", type=int, default=96)
    parser.add_argument("--sizes", nargs="+", default=["paper", "small"], choices=list(SIZES))
    parser.add_argument("--vocoders", nargs="+", default=["griffin_lim", "hybrid", "mask"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=0, help="rounds before that are not measured")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-baseline", action="store_true", help="measure this package only, as on a GPU")
    parser.add_argument("--csv", type=Path, help="a table to which each round's time is appended")
    return parser


def main() -> None:
    options = make_parser().parse_args()
    waveform, rate = decode(options.song) if options.song else (demo_music(options.seconds), SAMPLE_RATE_HZ)
    waveform = waveform[:, : options.seconds * rate]
    print(HEAD)
    print("|" + "---|" * HEAD.count(" |"), flush=True)
    for size in options.sizes:
        for preset in options.mel:
            mel = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
            model = make_model(mel, *SIZES[size], options.device)
            methods: dict[str, Callable] = {}
            if options.device == "cpu" and not options.no_baseline:
                methods[BASELINE] = Plain(model)
            for name in options.vocoders:
                methods[name] = partial(Translator(model, name, options.device), to="b")
            report((size, preset), methods, waveform, rate, options)


def report(
    row: tuple[str, str],
    methods: dict[str, Callable],
    waveform: Tensor,
    rate: int,
    options: argparse.Namespace,
) -> None:
    """Time every method with every number of threads, interleaved."""
    taken: dict[tuple[str, int], list[float]] = {}
    with torch.inference_mode():
        for number in range(-options.warm_up, options.rounds):
            for name, method in methods.items():
                for threads in options.threads:
                    torch.set_num_threads(threads)
                    start = time.perf_counter()
                    method(waveform, rate)
                    seconds = time.perf_counter() - start
                    if number >= 0:
                        taken.setdefault((name, threads), []).append(seconds)
    length_s = waveform.shape[1] / rate
    for (name, threads), rounds in taken.items():
        middle, base = median(rounds), taken.get((BASELINE, threads))
        speed, spread = length_s / middle, (max(rounds) - min(rounds)) / middle
        ratio = f"{middle / median(base):.2f}" if base else ""
        cells = (*row, name, threads, f"{speed:.1f}", f"{spread:.0%}", ratio)
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    if options.csv:
        save_rounds(options.csv, row, taken, length_s)


def save_rounds(
    path: Path, row: tuple[str, str], taken: dict[tuple[str, int], list[float]], length_s: float
) -> None:
    """Append the seconds of each round to a table."""
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(("generator", "mel", "method", "threads", "round", "seconds", "music_s"))
        for (name, threads), rounds in taken.items():
            for number, seconds in enumerate(rounds):
                writer.writerow((*row, name, threads, number, f"{seconds:.6g}", f"{length_s:g}"))


if __name__ == "__main__":
    main()
