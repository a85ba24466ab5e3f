"""Listening tests: an HTML page with sounds and questions, and the analysis of the answers."""
