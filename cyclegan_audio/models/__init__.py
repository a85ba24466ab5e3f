"""Models as LightningModules: CycleGAN, CUT, their base classes, and the parts of a training step."""
