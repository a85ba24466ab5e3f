"""Training: set up, fit, resume and sweep runs of `train` and `train_vocoder`; loggers and callbacks."""
