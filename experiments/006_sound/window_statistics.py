"""Instance-norm statistics of a long piece: by window, or one set for the whole piece (two passes).

python experiments/006_sound/window_statistics.py RUN SCORES --genres lofi rnb

SCORES holds a folder a genre with the same scores played in each (the demo songs' `paired`).
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.files import decode
from cyclegan_audio.audio.windows import cut, join
from cyclegan_audio.models.checkpoint import load_pair
from cyclegan_audio.models.norm import collect_statistics, with_statistics

COLUMNS = ("error to the truth dB", "windows disagree dB", "step at borders / elsewhere")


def changes(generator: nn.Module, mels: Tensor) -> Tensor:
    """What the generator changes in windows (N, M, W)."""
    return torch.cat([generator(window[None, None])[0] - window for window in mels])


def measure(change: Tensor, source: Tensor, truth: Tensor, overlap: int, db: float) -> tuple[float, ...]:
    """Numbers of COLUMNS for windows of change (N, M, W) to a mel (M, F); `db` is one unit of both."""
    apart = (change[:-1, :, -overlap:] - change[1:, :, :overlap]).abs().mean() * db
    joined = join(change, source.shape[1], overlap)
    movement = joined.diff(dim=1).abs().mean(0)
    hop = change.shape[2] - overlap
    borders = torch.zeros(len(movement), dtype=torch.bool)
    for start in range(hop, len(movement), hop):
        borders[start : start + overlap] = True
    frames = min(source.shape[1], truth.shape[1])
    error = (source + joined).clamp(-1, 1)[:, :frames] - truth[:, :frames]
    level = error.mean()
    ratio = movement[borders].mean() / movement[~borders].mean()
    return float((error - level).abs().mean() * db), float(apart), float(ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--genres", nargs=2, required=True)
    parser.add_argument("--songs", type=int, default=3)
    options = parser.parse_args()
    pair = load_pair(options.run)
    mel, window = pair.mel, pair.window_frames
    overlap = window // 4
    kinds: dict[str, Callable] = {"by window": lambda network, _: network, "whole piece": with_statistics}
    print("| direction | statistics | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 2))
    for source_genre, target_genre in (options.genres, options.genres[::-1]):
        generator = pair.generator(target_genre)
        rows: dict[str, list] = {name: [] for name in kinds}
        for path in sorted((options.scores / source_genre).glob("*.wav"))[: options.songs]:
            source, truth = (
                mel.normalise(mel.mel_db(decode(p, sample_rate=mel.sample_rate, mono=True)[0])[0])
                for p in (path, options.scores / target_genre / path.name)
            )
            windows = cut(source, window, overlap)
            with torch.inference_mode():
                statistics = collect_statistics(generator, [w[None, None] for w in windows])
                for name, made in kinds.items():
                    change = changes(made(generator, statistics), windows)
                    unit_db = (mel.max_db - mel.min_db) / 2
                    rows[name].append(measure(change, source, truth, overlap, unit_db))
        for name, found in rows.items():
            middle = " | ".join(f"{median(column):.2f}" for column in zip(*found, strict=True))
            print(f"| {source_genre} to {target_genre} | {name} | {middle} |", flush=True)


if __name__ == "__main__":
    main()
