"""Measure how often clips of clip.align=beats start at a true downbeat: beats.py SONGS (of source=demo)."""

import json
import sys
from pathlib import Path

import numpy as np

from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings

NEAR_S = 0.05
CLIP = ClipSettings(4.0, align="beats")

for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir() and path.name != "paired"):
    starts, lengths, shares, unsteady = [], [], [], 0
    for path in sorted(folder.glob("*.wav")):
        bars_s = np.array(json.loads(path.with_suffix(".json").read_text())["bar_starts_s"])
        spans = list(CLIP.intervals(path))
        unsteady += any(span.reason for span in spans)
        near = [bool(np.abs(bars_s - span.start_s).min() < NEAR_S) for span in spans if not span.reason]
        starts += near
        shares.append(np.mean(near) if near else np.nan)
        lengths += [span.length_s for span in spans]
    songs = np.array(shares)
    print(
        f"{folder.name}: {np.mean(starts):.2f} of {len(starts)} starts; of {len(songs)} songs all right in "
        f"{np.sum(songs == 1)}, none in {np.sum(songs == 0)}, unsteady {unsteady}; clips of "
        f"{min(lengths):.2f} to {max(lengths):.2f} s"
    )
