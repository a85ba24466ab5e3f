"""Metrics computed from mels, waveforms and loss curves, and the genre classifiers."""
