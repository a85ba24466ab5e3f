"""Estimates with intervals, and tests, over clips that share tracks."""
