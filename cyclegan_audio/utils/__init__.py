"""Helpers that know nothing of music or models: files, locks, devices, progress, errors, hints, seeds."""
