"""Helpers independent of music and models: files, locks, devices, progress, errors, hints, seeds."""
