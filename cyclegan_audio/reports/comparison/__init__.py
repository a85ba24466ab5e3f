"""Comparison of several runs from their reports: differences, significance, and compare.html."""
