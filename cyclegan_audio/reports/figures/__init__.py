"""Draw matplotlib figures for reports and training previews, independent of windows and files."""

from cyclegan_audio.reports.figures.loss_curves import loss_curves
from cyclegan_audio.reports.figures.spectrograms import cycle_grid

__all__ = ["cycle_grid", "loss_curves"]
