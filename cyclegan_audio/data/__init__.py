"""Datasets, samplers and LightningDataModules: batches for training, from a corpus."""
