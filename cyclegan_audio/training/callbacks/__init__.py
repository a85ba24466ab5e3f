"""Lightning callbacks of training: validation, previews, progress, losses, checkpoints, NaN recovery, W&B."""
