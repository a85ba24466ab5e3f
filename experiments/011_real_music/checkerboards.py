"""Measure the checkerboard of a model's mels along time and along bands, with and without time shifts.

python experiments/011_real_music/checkerboards.py AUDIO RUN

Prints, for each direction, means over the first 20 s of at most six recordings of each other genre: of the
input's mel, and of the generator's with one and four shifts (`translate --shifts`).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from genres import Recording, load_recordings, mid_mel_db
from measure import CLIP_S, TargetMels, cut_clips
from tables import markdown
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.metrics.artefacts import _checkerboard_db
from cyclegan_audio.metrics.tagger import load_tagger
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.vocoders import make_vocoder

SECONDS, RECORDINGS = 20.0, 6


def along_both_axes(mels_db: Sequence[Tensor], mel: MelSpectrogram) -> Tensor:
    """Return the mean checkerboard (2,) of mels (M, F) along time and along bands."""
    frames = round(CLIP_S / mel.frame_s)
    clips = [clip for mel_db in mels_db for clip in cut_clips(mel_db, mel) if clip.shape[1] == frames]
    stacked = torch.stack(clips)
    return torch.stack([_checkerboard_db(x).mean() for x in (stacked, stacked.transpose(1, 2))])


def measure(run: str, to: str, recordings: Sequence[Recording], shifts: int) -> str:
    """Return the mean over recordings, along time and along bands; of the input without shifts."""
    model = with_cycle_spinning(load_model(run), max(shifts, 1))
    results = []
    for x in recordings:
        mels = TargetMels(make_vocoder("mask"))
        if shifts:
            Translator(model, mels)(x.sound, x.rate, to)
            mels_db = [mel_db[0] for mel_db in mels.mels_db]
        else:
            mels_db = [mid_mel_db(x.sound, x.rate, model.mel)]
        results.append(along_both_axes(mels_db, model.mel))
    time, bands = torch.stack(results).mean(0).tolist()
    return f"{time:.1f}, {bands:.1f}"


@handle_user_errors("checkerboards.py")
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("audio", type=Path, metavar="AUDIO")
    parser.add_argument("run", metavar="RUN")
    options = parser.parse_args()
    torch.set_num_threads(1)
    real = load_recordings(options.audio, SECONDS, load_tagger())
    rows = []
    for to in load_model(options.run).targets:
        for genre in (genre for genre in real if genre != to):
            recordings = real[genre][:RECORDINGS]
            cells = [measure(options.run, to, recordings, shifts) for shifts in (0, 1, 4)]
            rows.append([f"{genre} to {to}", str(len(recordings)), *cells])
    print(markdown(["direction", "n", "input: time, bands", "generator's mel", "with 4 shifts"], rows))


if __name__ == "__main__":
    main()
