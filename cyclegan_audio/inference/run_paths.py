"""The names of what lies in a run's folder."""

CHECKPOINTS = "checkpoints"  # a folder
BEST = "best.ckpt"  # by held-out clips; what a run is used by
LAST = "last.ckpt"  # what training goes on from
CONFIG = "config.yaml"
LOCK = ".training"  # held by the process that trains in the folder
LOSSES = "losses.csv"
VALIDATION = "validation.csv"
WANDB_ID = "wandb_id.txt"
TENSORBOARD = "tensorboard"  # a folder
