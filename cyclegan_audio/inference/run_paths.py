"""Names of the files and folders in a run's folder."""

CHECKPOINTS = "checkpoints"  # a folder
BEST = "best.ckpt"  # best on the validation clips; used for inference
LAST = "last.ckpt"  # used to resume
CONFIG = "config.yaml"
LOCK = ".training"  # held by the process that trains in the folder
LOSSES = "losses.csv"
VALIDATION = "validation.csv"
WANDB_ID = "wandb_id.txt"
TENSORBOARD = "tensorboard"  # a folder
