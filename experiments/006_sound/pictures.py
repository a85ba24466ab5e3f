"""Draw spectrograms of a song before and after its translation, by several vocoders.

python experiments/006_sound/pictures.py demo SONG --to rnb --out before_after.png
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode
from cyclegan_audio.reports.figures.spectrograms import cycle_grid
from cyclegan_audio.translation.analysis_pass import PieceStatistics

DPI = 70


def target_mel(translator: Translator, source_db: Tensor, to: str) -> Tensor:
    """Translate a mel (M, F) in dB, each window by its own statistics."""
    range_db = translator.mel.range_db(translator.normalisation.apply(source_db, translator.mel))
    statistics = PieceStatistics(0, 0.0, False, torch.ones(1, 1), range_db)
    generator = translator.windowed_generator(to, statistics)
    return generator.add_change(source_db, generator.stream().push(source_db, last=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("song", type=Path)
    parser.add_argument("--to", required=True)
    parser.add_argument("--vocoders", nargs="+", default=["mask", "hybrid", "griffin_lim"])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    waveform, rate = decode(options.song)
    waveform = waveform[:, : options.seconds * rate]
    translators = {
        name: Translator.load(options.run, vocoder=name, device="cpu") for name in options.vocoders
    }
    mel = next(iter(translators.values())).mel

    def picture(sound: Tensor) -> Tensor:
        return mel.mel_db(sound.mean(0, keepdim=True))[0]

    before = picture(waveform)
    with torch.inference_mode():
        row = {
            "before": before,
            "wanted by the model": target_mel(next(iter(translators.values())), before, options.to),
        }
    cycle_grid([row], mel).savefig(options.out, dpi=DPI)


if __name__ == "__main__":
    main()
