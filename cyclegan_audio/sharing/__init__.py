"""Sharing of trained pairs: the folder with weights, card, picture and sounds, and its upload to the Hub."""
