"""What data modules for training share: epochs that a run can go on with in their middle."""

from typing import Any

import pytorch_lightning as pl

from cyclegan_audio.data.sampler import EpochSampler


class ResumableDataModule(pl.LightningDataModule):
    """Serves training batches of `batch_size` by the order of an `EpochSampler`.

    Attributes:
        sampler: made by `setup`.
    """

    sampler: EpochSampler[Any]
    batch_size: int

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration over the training batches serves (as Lightning does)."""
        self.sampler.set_epoch(epoch)

    def start_at(self, batches_done: int) -> None:
        """Leave out that many batches of the next epoch served, to go on in its middle."""
        self.sampler.skip = batches_done * self.batch_size
