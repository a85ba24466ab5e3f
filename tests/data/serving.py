"""A datamodule of the test corpus, and what it serves."""

import torch

from cyclegan_audio.data.datamodule import UnpairedMelDataModule


def make(corpus, **changes) -> UnpairedMelDataModule:
    data = UnpairedMelDataModule(corpus.folder, "lofi", "trap", **{"frame_multiple": 4, **changes})
    data.setup("fit")
    return data


def served(data, epoch: int = 0) -> list[dict[str, torch.Tensor]]:
    data.set_epoch(epoch)
    return list(data.train_dataloader())


def pairs(batches) -> list[tuple[int, int]]:
    return [pair for b in batches for pair in zip(b["index_a"].tolist(), b["index_b"].tolist(), strict=True)]
