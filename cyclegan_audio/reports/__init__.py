"""HTML pages and figures: of a trained model, of several, of a corpus, and of two genres' separability."""
