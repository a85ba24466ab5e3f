"""Runs: set-up, fit, sweeps, loggers and how they end and resume."""
