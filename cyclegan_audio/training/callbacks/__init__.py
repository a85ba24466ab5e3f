"""Lightning callbacks: validation, previews, progress, losses, tagger, checkpoints, NaN recovery, W&B."""
