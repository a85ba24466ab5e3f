"""Confidence intervals and significance tests for clips that are grouped by track."""
