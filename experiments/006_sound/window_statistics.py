"""Compare instance-norm statistics: per window, of the whole piece, or the piece as one window.

python experiments/006_sound/window_statistics.py RUN SCORES --genres lofi rnb

SCORES holds a folder per genre with the same scores (the demo songs' `paired`). The one
window is run in bf16 too.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.windows import join_windows, pad_reflect, split_windows
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics

COLUMNS = ("error to the truth dB", "windows disagree dB", "step at borders / elsewhere")


def changes(generator: nn.Module, mels: Tensor) -> Tensor:
    """Compute the change by the generator in windows (N, M, W)."""
    return torch.cat([generator(window[None, None])[0].float() - window for window in mels])


def by_window(generator: nn.Module, windows: Tensor, _: Tensor) -> Tensor:
    return changes(generator, windows)


def by_piece(generator: nn.Module, windows: Tensor, _: Tensor) -> Tensor:
    return changes(with_statistics(generator, collect_statistics(generator, windows[:, None, None])), windows)


def as_one(generator: nn.Module, _: Tensor, source: Tensor) -> Tensor:
    multiple = int(generator.frame_multiple)  # type: ignore[arg-type]
    return changes(generator, pad_reflect(source, -(-source.shape[1] // multiple) * multiple)[None])


def as_one_in_bf16(generator: nn.Module, windows: Tensor, source: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return as_one(generator, windows, source)


KINDS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "by window": by_window,
    "whole piece": by_piece,
    "one window": as_one,
    "one window, bf16": as_one_in_bf16,
}


def measure(change: Tensor, source: Tensor, truth: Tensor, overlap: int, db: float) -> tuple[float, ...]:
    """Compute COLUMNS for windows of change (N, M, W) to a mel (M, F); `db` is one unit of both."""
    apart = (change[:-1, :, -overlap:] - change[1:, :, :overlap]).abs().mean() * db
    joined = (
        join_windows(change, source.shape[1], overlap) if len(change) > 1 else change[0, :, : source.shape[1]]
    )
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
    model = load_model(options.run)
    mel, window = model.mel, model.window_frames
    overlap = window // 4
    print("| direction | statistics | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 2))
    for source_genre, target_genre in (options.genres, options.genres[::-1]):
        generator = model.generator(target_genre)
        rounding: list[float] = []
        rows: dict[str, list] = {name: [] for name in KINDS}
        for path in sorted((options.scores / source_genre).glob("*.wav"))[: options.songs]:
            source, truth = (
                mel.normalise(mel.mel_db(decode(p, sample_rate=mel.sample_rate, mono=True)[0])[0])
                for p in (path, options.scores / target_genre / path.name)
            )
            windows = split_windows(source, window, overlap)
            unit_db = (mel.max_db - mel.min_db) / 2
            with torch.inference_mode():
                changes = {name: method(generator, windows, source) for name, method in KINDS.items()}
            for name, change in changes.items():
                rows[name].append(measure(change, source, truth, overlap, unit_db))
            rounding.append(
                float((changes["one window"] - changes["one window, bf16"]).abs().mean() * unit_db)
            )
        for name, values in rows.items():
            middle = " | ".join(f"{median(column):.2f}" for column in zip(*values, strict=True)).replace(
                "nan", "-"
            )
            print(f"| {source_genre} to {target_genre} | {name} | {middle} |", flush=True)
        print(f"bf16 differs from fp32 by {median(rounding):.2f} dB in the mean")


if __name__ == "__main__":
    main()
