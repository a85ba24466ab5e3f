"""Measure what amounts of drums and of the rest keep: python experiments/006_sound/amounts.py SONGS [RUN]

SONGS is a folder of demo songs with a paired set; its scores say where the drums are. All numbers are of the
sound.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.metrics.rhythm import detect_onsets, f1_score
from cyclegan_audio.metrics.spectral import chroma_similarity
from cyclegan_audio.translation.amounts import Amount

AMOUNTS = {
    "drums=0,rest=1": Amount(0, 1),
    "drums=1,rest=0": Amount(1, 0),
    "0.3": Amount(0.3, 0.3),
    "0.5": Amount(0.5, 0.5),
    "0.8": Amount(0.8, 0.8),
    "drums=1,rest=1": Amount(1, 1),
}
MELODIC = ("bass", "chords", "melody")
N_BANDS, AUDIBLE_DB, TOLERANCE_S = 8, 50.0, 0.05
FAR_S = 0.2  # after a drum, before which a frame is not away from it


def measure(before_db: Tensor, after_db: Tensor, drums_s: np.ndarray, mel: MelSpectrogram) -> list[float]:
    """Return onset F1, mean change of the bands' levels at drums and away from them in dB, and chroma.

    Args:
        before_db, after_db: mels (M, F) in dB.
        drums_s: times of the drums.
        mel: the mels' definition.
    """
    frame_s = mel.hop_length / mel.sample_rate
    onsets = [detect_onsets(onset_strength(x[None], mel), frame_s)[0] for x in (before_db, after_db)]
    bands = [10 * (10 ** (x / 10)).unflatten(0, (N_BANDS, -1)).mean(1).log10() for x in (before_db, after_db)]
    frames = torch.from_numpy(drums_s / frame_s).round().long() + 1
    frames = frames[frames < before_db.shape[1]]
    audible = bands[0] > bands[0].max() - AUDIBLE_DB
    far = torch.ones(before_db.shape[1], dtype=torch.bool)
    for frame in frames.tolist():
        far[max(0, frame - 2) : frame + round(FAR_S / frame_s)] = False
    change_db = (bands[1] - bands[0]).abs()
    at_drums, elsewhere = (float(change_db[:, x][audible[:, x]].mean()) for x in (frames, far))
    chroma = float(chroma_similarity(after_db[None], before_db[None], mel))
    return [f1_score(*onsets, TOLERANCE_S), at_drums, elsewhere, chroma]


def main(songs: Path, run: str = "demo") -> None:
    """Print a table for each direction: means and standard deviations over scores."""
    translator = Translator.load(run)
    mel = translator.model.mel
    for source, target in (translator.model.genres, translator.model.genres[::-1]):
        rows: dict[str, list[list[float]]] = {name: [] for name in AMOUNTS}
        paths = sorted((songs / "paired" / source).glob("*.wav"))
        for path in paths:
            sound, rate = decode(path, mono=True)
            onsets_s = json.loads(path.with_suffix(".json").read_text())["onsets_s"]
            drums_s = np.concatenate([times for part, times in onsets_s.items() if part not in MELODIC])
            before = mel.mel_db(translator(sound, rate, to=target, amount=0.0))[0]
            for name, amount in AMOUNTS.items():
                after = mel.mel_db(translator(sound, rate, to=target, amount=amount))[0]
                rows[name].append(measure(before, after, drums_s, mel))
        print(f"\n{source} to {target}, {len(paths)} scores")
        print("| amount | onset F1 | change at drums, dB | elsewhere | chroma |\n|---|---|---|---|---|")
        for name, values in rows.items():
            cells = [
                f"{statistics.mean(x):.2f} ± {statistics.stdev(x):.2f}" for x in zip(*values, strict=True)
            ]
            print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
