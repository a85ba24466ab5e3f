"""A trained pair on held-out clips: what is measured, and the report that shows it."""
