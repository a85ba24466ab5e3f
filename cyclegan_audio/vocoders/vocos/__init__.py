"""Vocos, a neural vocoder that `train_vocoder` trains."""
