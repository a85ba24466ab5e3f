"""Helpers that know nothing of music or models."""
