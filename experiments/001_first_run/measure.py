"""Translate one song by every vocoder: distance to the target mel, level, clicks, time.

python experiments/001_first_run/measure.py RUN SONG --to trap --out FOLDER
"""

import argparse
import time
from pathlib import Path

import torch

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode, resample, save, to_mono
from cyclegan_audio.reports.figures.spectrograms import cycle_grid
from cyclegan_audio.translation.analysis_pass import PieceStatistics
from cyclegan_audio.vocoders import VOCODERS

AUDIBLE_DB = 80.0  # under the loudest value of the target: quieter points are left out of the error
EXCERPT_S = 4.0


@torch.no_grad()
def target_mel(translator: Translator, source_db: torch.Tensor, to: str) -> torch.Tensor:
    """Translate a mel (M, F) in dB, each window by its own statistics."""
    range_db = translator.mel.range_db(translator.normalisation.apply(source_db, translator.mel))
    statistics = PieceStatistics(0, 0.0, False, torch.ones(1, 1), range_db)
    generator = translator.windowed_generator(to, statistics)
    return generator.add_change(source_db, generator.stream().push(source_db, last=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("song")
    parser.add_argument("--to", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    source, rate = decode(options.song)
    mel = Translator.load(options.run, device="cpu").mel

    def mel_db(waveform: torch.Tensor) -> torch.Tensor:
        return mel.mel_db(resample(to_mono(waveform)[None], rate, mel.sample_rate))[0]

    target = target_mel(Translator.load(options.run, device="cpu"), mel_db(source), options.to)
    audible = target > target.max() - AUDIBLE_DB
    rows = {"source": mel_db(source), "target mel": target}
    high = mel.band_hz > 6000
    print("vocoder | |dB| to target mel | RMS dB | peak | largest step | level above 6 kHz dB | x real time")
    for name in ("source", *VOCODERS):
        start, out = time.perf_counter(), source
        if name != "source":
            out = Translator.load(options.run, vocoder=name, device="cpu")(source, rate, options.to)
            save(options.out / f"{name}.wav", out, rate)
        speed = f"{source.shape[-1] / rate / (time.perf_counter() - start):.0f}" if name != "source" else ""
        vocoded_db = mel_db(out)
        level = vocoded_db.mean() - target.mean()  # only the song's level is matched to the source
        error = (vocoded_db - level - target).abs()[audible]
        rms_db = 20 * out.square().mean().sqrt().log10()
        step = out.diff(dim=-1).abs().max()
        above = 10 * (10 ** (vocoded_db[high] / 10)).mean().log10()
        print(
            f"{name} | {error.mean():.2f} (median {error.median():.2f}) | {rms_db:.1f} "
            f"| {out.abs().max():.2f} | {step:.2f} | {above:.1f} | {speed}"
        )
        rows[name] = vocoded_db
    frames = round(EXCERPT_S / mel.frame_s)
    figure = cycle_grid([{name: values[:, :frames] for name, values in rows.items()}], mel)
    figure.savefig(options.out / "vocoders.png", dpi=80)


if __name__ == "__main__":
    main()
