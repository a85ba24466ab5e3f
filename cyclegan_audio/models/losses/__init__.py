"""Adversarial, reconstruction and contrastive losses."""
