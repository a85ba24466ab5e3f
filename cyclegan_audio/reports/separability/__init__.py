"""Separability of two genres by logistic regression: the page of `classify`."""
