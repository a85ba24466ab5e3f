"""The genre classifier that reports rely on: network, training, calibration."""
