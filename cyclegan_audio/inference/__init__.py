"""Trained models as they are used: checkpoints, the models that ship, and exports."""
