"""Evaluation of a trained model on held-out clips: scores, and the sections of report.html."""
