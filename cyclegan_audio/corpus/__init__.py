"""Corpora on disk: build them from music, screen and split clips, compare and normalise genres."""
