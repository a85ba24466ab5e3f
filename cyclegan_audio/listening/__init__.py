"""Listening tests: sounds and questions for a static page, and what comes of the answers."""
