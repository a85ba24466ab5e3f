"""Genre classifiers: networks and logistic regression trained on the training split of a corpus."""
