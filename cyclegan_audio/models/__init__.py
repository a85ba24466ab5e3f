"""LightningModules that learn to translate, and what their training steps are made of."""
