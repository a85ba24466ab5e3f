"""W&B artifacts of a run: the corpus that it was trained on, and its checkpoints."""

from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE, SPLITS
from cyclegan_audio.corpus.settings_file import SETTINGS_FILE
from cyclegan_audio.inference.run_paths import BEST, CHECKPOINTS, LAST
from cyclegan_audio.training.loggers import WandbMediaLogger


class WandbArtifacts(pl.Callback):
    """Log the corpus to W&B as an artifact when training starts, and the checkpoints when it ends.

    The corpus artifact holds its settings and its manifest, with the content hash of each clip's file, so
    that two runs on the same clips share one version. Mels and audio are not uploaded.

    Args:
        run_dir: the run's folder.
        checkpoints: whether to upload `best.ckpt` and `last.ckpt`.
    """

    def __init__(self, run_dir: str, checkpoints: bool = False) -> None:
        self.run_dir = Path(run_dir)
        self.checkpoints = checkpoints

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        folder = data.corpus.folder
        metadata = {
            "folder": str(folder),
            "mel": data.mel.to_dict(),
            "clips": {
                genre: {split: len(data.corpus.clips(genre, split)) for split in SPLITS}
                for genre in data.genres
            },
        }
        for logger in _wandb_loggers(trainer):
            logger.save_artifact(
                f"corpus_{slug(folder.name)}",
                "dataset",
                [folder / SETTINGS_FILE, folder / MANIFEST_FILE],
                metadata,
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        folder = self.run_dir / CHECKPOINTS
        files = [folder / name for name in (BEST, LAST) if (folder / name).is_file()]
        if self.checkpoints and files:
            for logger in _wandb_loggers(trainer):
                logger.save_artifact(f"run_{logger.version}", "model", files, {"batches": pl_module.batches})


def _wandb_loggers(trainer: pl.Trainer) -> Iterator[WandbMediaLogger]:
    return (logger for logger in trainer.loggers if isinstance(logger, WandbMediaLogger))
