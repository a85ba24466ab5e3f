"""Pictures as matplotlib figures that know nothing of loggers, windows or files."""

from cyclegan_audio.reports.figures.loss_curves import loss_curves
from cyclegan_audio.reports.figures.spectrograms import cycle_grid

__all__ = ["cycle_grid", "loss_curves"]
