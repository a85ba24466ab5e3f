"""The names of what lies in a run's folder."""

CHECKPOINTS = "checkpoints"  # a folder
LAST = "last.ckpt"
CONFIG = "config.yaml"
LOSSES = "losses.csv"
VALIDATION = "validation.csv"
