"""What W&B keeps beside a run's numbers: which corpus it was trained on, and what came of it."""

from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import MANIFEST_FILE, SETTINGS_FILE, SPLITS
from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, LAST
from cyclegan_audio.training.loggers import WandbMediaLogger


class Artifacts(pl.Callback):
    """With W&B: the corpus as an artifact when training starts, checkpoints when it ends.

    The corpus is its settings and its manifest, a row a clip with the content hash of its file, so that
    two runs on the same clips share one version. Mels and audio stay where they are.

    Args:
        run_dir: the run's folder.
        checkpoints: whether to keep `best.ckpt` and `last.ckpt`; W&B copies them.
    """

    def __init__(self, run_dir: str, checkpoints: bool = False) -> None:
        self.run_dir = Path(run_dir)
        self.checkpoints = checkpoints

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        folder = data.corpus.folder
        about = {
            "folder": str(folder),
            "mel": data.mel.to_dict(),
            "clips": {
                genre: {split: len(data.corpus.clips(genre, split)) for split in SPLITS}
                for genre in data.genres
            },
        }
        for dashboard in _wandb(trainer):
            dashboard.keep_files(
                f"corpus_{slug(folder.name)}",
                "dataset",
                [folder / SETTINGS_FILE, folder / MANIFEST_FILE],
                about,
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        folder = self.run_dir / CHECKPOINTS
        files = [folder / name for name in (BEST, LAST) if (folder / name).is_file()]
        if self.checkpoints and files:
            for dashboard in _wandb(trainer):
                about = {"batches": pl_module.batches}
                dashboard.keep_files(f"run_{dashboard.version}", "model", files, about)


def _wandb(trainer: pl.Trainer) -> Iterator[WandbMediaLogger]:
    return (logger for logger in trainer.loggers if isinstance(logger, WandbMediaLogger))
