"""Measure errors of runs on held-out clips.

python experiments/004_identity_ablation/measure.py CORPUS CLIPS RUN ...
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from cyclegan_audio.audio.windows import pad_to_multiple
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.translation_model import TranslationModel


def mels(corpus: Corpus, genre: str, n_clips: int, multiple: int) -> list[Tensor]:
    """Load clips spread over the validation split, each (1, 1, M, F) in [-1, 1]."""
    clips = corpus.clips(genre, "val")
    chosen = [clips[index * len(clips) // n_clips] for index in range(min(n_clips, len(clips)))]
    scaled = [corpus.mel.normalise(db, corpus.mel.range_db(db)) for db in map(corpus.mel_db, chosen)]
    return [pad_to_multiple(mel, multiple)[None, None] for mel in scaled]


def spread(values: list[float]) -> str:
    """Format mean and standard error over clips."""
    numbers = torch.tensor(values)
    return f"{float(numbers.mean()):.4f} ({float(numbers.std() / len(values) ** 0.5):.4f})"


@torch.inference_mode()
def errors(model: TranslationModel, real: dict[str, list[Tensor]]) -> dict[str, str]:
    """Compute cycle and identity errors (L1) by genre, and distances of mean band profiles to the target."""
    results = {}
    for source, target in (model.genres, model.genres[::-1]):
        there, back = model.generator(target), model.generator(source)
        fakes = [there(x) for x in real[source]]
        results[f"cycle {source}"] = spread(
            [float((back(y) - x).abs().mean()) for x, y in zip(real[source], fakes, strict=True)]
        )
        results[f"identity {source}"] = spread([float((back(x) - x).abs().mean()) for x in real[source]])
        profile = torch.cat(real[target]).mean((0, 1, 3))
        for name, clips in (("untouched", real[source]), ("translated", fakes)):
            distance = (torch.cat(clips).mean((0, 1, 3)) - profile).abs().mean()
            results[f"profile {source} to {target}, {name}"] = f"{float(distance):.4f}"
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    opened = Corpus.open(sys.argv[1])
    for run in sys.argv[3:]:
        loaded = load_model(run)
        held_out = {
            genre: mels(opened, genre, int(sys.argv[2]), loaded.frame_multiple) for genre in loaded.genres
        }
        print(f"{Path(run).name}, {loaded.batches} batches")
        for name, value in errors(loaded, held_out).items():
            print(f"  {name}: {value}", flush=True)
