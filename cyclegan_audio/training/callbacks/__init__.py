"""What happens beside the training: validation, previews, progress, checkpoints, recovery."""
