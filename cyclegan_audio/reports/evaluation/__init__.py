"""Evaluation of a trained pair on held-out clips: scores, and the sections of report.html."""
