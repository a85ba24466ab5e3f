"""Losses of the translation models: adversarial losses, terms of the generators' loss, PatchNCE."""
