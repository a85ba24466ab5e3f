"""Translate whole songs from genre to genre, as streams at bounded memory."""
