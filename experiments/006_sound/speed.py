"""Audio to audio: this package against a straightforward pipeline, interleaved, by CPU time.

python experiments/006_sound/speed.py SONG --seconds 16 --rounds 3

The straightforward one loads all, takes the mean of the channels, translates a window at a time with
statistics of its own and no overlap, in fp32, and goes back by InverseMelScale and GriffinLim (32 rounds) of
torchaudio, also window by window. An untrained generator costs what a trained one does.
"""

import argparse
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
from cyclegan_audio.audio.files import decode
from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.models.generator import ResnetGenerator
from cyclegan_audio.models.pair import TranslationPair

SIZES = {"paper": (64, 9), "small": (16, 6)}  # filters, blocks
WINDOW_S = 4
ITERATIONS = 32


def make_pair(mel: MelSettings, n_filters: int, n_blocks: int) -> TranslationPair:
    """A pair with untrained generators."""
    torch.manual_seed(0)
    generators = {way: ResnetGenerator(n_filters, n_blocks).eval() for way in ("ab", "ba")}
    frames = mel.n_frames(WINDOW_S * mel.sample_rate)
    return TranslationPair(("a", "b"), mel, generators, frames, {})


class Plain:
    """The straightforward pipeline."""

    def __init__(self, pair: TranslationPair) -> None:
        mel, self.generator = pair.mel, pair.generators["ab"]
        self.mel = mel
        sizes = {"n_fft": mel.n_fft, "hop_length": mel.hop_length}
        scale = {"n_mels": mel.n_mels, "sample_rate": mel.sample_rate, "f_max": mel.sample_rate / 2}
        self.forward = torchaudio.transforms.MelSpectrogram(**sizes, **scale, power=1)
        self.inverse = torchaudio.transforms.InverseMelScale(mel.n_fft // 2 + 1, **scale, driver="gelsy")
        self.griffin_lim = torchaudio.transforms.GriffinLim(**sizes, n_iter=ITERATIONS, power=1)

    def __call__(self, waveform: Tensor, rate: int) -> Tensor:
        mono = torchaudio.functional.resample(waveform.mean(0), rate, self.mel.sample_rate)
        made = [self.window(part) for part in mono.split(WINDOW_S * self.mel.sample_rate)]
        back = torchaudio.functional.resample(torch.cat(made), self.mel.sample_rate, rate)
        return back.expand(len(waveform), -1)

    def window(self, part: Tensor) -> Tensor:
        db = 20 * self.forward(part).clamp_min(self.mel.floor).log10()
        frames = db.shape[1] // 4 * 4
        fake = self.generator(self.mel.normalise(db[None, None, :, :frames]))[0, 0]
        low, high = self.mel.range_db(db)
        mel = self.mel.db_to_mel(self.mel.denormalise(fake, (low, high)))
        return self.griffin_lim(self.inverse(mel))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("song", type=Path)
    parser.add_argument("--mel", nargs="+", default=["hifi", "paper"])
    parser.add_argument("--seconds", type=int, default=16)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--vocoders", nargs="+", default=["griffin_lim", "hybrid", "mask"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    waveform, rate = decode(options.song)
    waveform = waveform[:, : options.seconds * rate]
    print("| generator | mel | way | x real time, one core | spread | of the straightforward one |")
    print("|" + "---|" * 6, flush=True)
    for size in options.sizes:
        for preset in options.mel:
            mel = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
            pair = make_pair(mel, *SIZES[size])
            ways: dict[str, Callable] = {"straightforward": Plain(pair)}
            ways |= {name: partial(Translator(pair, name), to="b") for name in options.vocoders}
            ways["generator alone"] = partial(generator_alone, pair=pair)
            report(size, preset, ways, waveform, rate, options.rounds)


def generator_alone(waveform: Tensor, rate: int, pair: TranslationPair) -> Tensor:
    """As many frames through the generator as the song has, in windows of 4 s."""
    frames = round(waveform.shape[1] / rate * pair.mel.sample_rate / pair.mel.hop_length)
    mels = torch.zeros(1, 1, pair.mel.n_mels, frames // 4 * 4).split(pair.window_frames // 4 * 4, -1)
    return torch.cat([pair.generators["ab"](mel) for mel in mels], -1)


def report(size: str, preset: str, ways: dict, waveform: Tensor, rate: int, rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.process_time()
                way(waveform, rate)
                taken[name].append(time.process_time() - start)
    base = median(taken["straightforward"])
    for name, seconds in taken.items():
        middle = median(seconds)
        speed, spread = waveform.shape[1] / rate / middle, (max(seconds) - min(seconds)) / middle
        print(
            f"| {size} | {preset} | {name} | {speed:.1f} | {spread:.0%} | {middle / base:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
