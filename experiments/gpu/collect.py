"""Collect what the trainings of `ablation.sh` leave, in files of at most 16 MiB.

    python experiments/gpu/collect.py RUNS OUT --corpus CORPUS --weights identity_5

Prints the number of batches of each run and writes into OUT:
    runs.tar                   losses, settings, numbers of batches, grids of held-out clips with all runs
    weights.tar.00, .01, ...   the last generators of one run in 16 bits; cat weights.tar.* | tar x
"""

import argparse
import csv
import hashlib
import io
import json
import tarfile
from pathlib import Path

from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.inference.checkpoints import load_model, save_pretrained
from cyclegan_audio.inference.clip_translation import translate_with_cycle
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.reports.figures import cycle_grid

GENRES = ("lofi", "trap")
PAPER_EPOCHS = 150
PART_BYTES = 15 << 20  # of `weights.tar`
GRID_CLIPS = 3  # of each genre
LAST = "checkpoints/last.ckpt"
TABLES = ("losses.csv", "validation.csv", "config.yaml")


def count_batches(runs: list[Path], corpus: Path) -> dict[str, dict[str, float]]:
    """Print and return the batches of each run, and the time of the paper's epochs at their speed."""
    data = UnpairedMelDataModule(corpus, *GENRES, frame_multiple=4)
    data.setup("fit")
    epoch = len(data.train_dataloader())
    print(f"An epoch has {epoch} batches. The last column is extrapolated.\n")
    print(f"| run | batches | epochs | batches a second | {PAPER_EPOCHS} epochs, hours (extrapolated) |")
    print("|---|---|---|---|---|")
    numbers = {}
    for run in runs:
        n_batches, speed = read_speed(run / "losses.csv")
        hours = PAPER_EPOCHS * epoch / speed / 3600
        numbers[run.name] = {"batches": n_batches, "batches_per_epoch": epoch, "batches_per_s": speed}
        print(f"| {run.name} | {n_batches} | {n_batches / epoch:.2f} | {speed:.2f} | {hours:.2f} |")
    return numbers


def read_speed(losses: Path) -> tuple[int, float]:
    """Return the number of batches, and batches a second after the first row if there are more."""
    with losses.open() as file:
        rows = [(int(row["batch"]), float(row["elapsed_s"])) for row in csv.DictReader(file)]
    first, last = rows[0] if len(rows) > 1 else (0, 0.0), rows[-1]
    return last[0], (last[0] - first[0]) / (last[1] - first[1])


def write_grids(corpus: Corpus, runs: list[Path], folder: Path, device: str) -> None:
    """Draw held-out clips, and what each run makes of them there and back."""
    folder.mkdir(exist_ok=True)
    models = {run.name: load_last(run, device) for run in runs}
    for direction, (source, target) in {"ab": GENRES, "ba": GENRES[::-1]}.items():
        clips = [*corpus.clips(source, "test"), *corpus.clips(source, "val")]
        shown = clips[:: max(1, len(clips) // GRID_CLIPS)][:GRID_CLIPS]
        rows = [grid_row(corpus, clip, models, direction) for clip in shown]
        figure = cycle_grid(rows, corpus.mel, f"{source} to {target}")
        figure.savefig(folder / f"{source}_to_{target}.png", dpi=80)


def grid_row(
    corpus: Corpus, clip: Clip, models: dict[str, TranslationModel], direction: str
) -> dict[str, Tensor]:
    """Return a clip, its translation and its reconstruction by each model, (M, F) in dB."""
    row = {"real": corpus.mel_db(clip)}
    for name, model in models.items():
        mels_db = translate_with_cycle(model.generators, direction, row["real"], corpus.mel)
        row |= {f"{name}, translated": mels_db["fake"], f"{name}, back": mels_db["rec"]}
    return row


def load_last(run: Path, device: str = "cpu") -> TranslationModel:
    """Load the last generators of a run."""
    return load_model(run, device, run / LAST)


def write_weights(run: Path, folder: Path, out: Path) -> None:
    """Save the last generators of a run in 16 bits, as a tar in parts, and print checksums."""
    save_pretrained(load_last(run), folder)
    content = pack({f"{folder.name}/{path.name}": path for path in sorted(folder.iterdir())})
    print(f"\n{folder.name}, SHA-256:\n\n```\n{hashlib.sha256(content).hexdigest()}  weights.tar")
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        part = content[start : start + PART_BYTES]
        (out / f"weights.tar.{number:02d}").write_bytes(part)
        print(f"{hashlib.sha256(part).hexdigest()}  weights.tar.{number:02d}")
    print("```")


def pack(files: dict[str, Path]) -> bytes:
    """Return a tar of files by their names in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, path in files.items():
            tar.add(path, name)
    return content.getvalue()


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--weights", required=True, help="the run whose generators are written")
    parser.add_argument("--device", default="cpu")
    return parser


def main() -> None:
    args = make_parser().parse_args()
    runs = [file.parent.parent for file in sorted(args.runs.glob(f"*/{LAST}"), reverse=True)]
    numbers = count_batches(runs, args.corpus)
    (args.runs / "batches.json").write_text(json.dumps(numbers, indent=1) + "\n")
    write_weights(args.runs / args.weights, args.runs / f"lofi_trap_{args.weights}", args.out)
    write_grids(Corpus.open(args.corpus), runs, args.runs / "grids", args.device)
    files = [run / name for run in runs for name in TABLES]
    files += [args.runs / "batches.json", *sorted((args.runs / "grids").iterdir())]
    (args.out / "runs.tar").write_bytes(pack({str(file.relative_to(args.runs)): file for file in files}))


if __name__ == "__main__":
    main()
