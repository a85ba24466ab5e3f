"""What feeds training: datasets, samplers and the LightningDataModules."""
