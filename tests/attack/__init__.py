"""Attacks on the program: hostile files, damaged inputs, kills, full disks."""
