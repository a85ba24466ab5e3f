"""Command lines: one entry for all verbs, their options, help, and how they report errors."""
