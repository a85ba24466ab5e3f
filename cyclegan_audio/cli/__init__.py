"""Command-line interface: entry point, options, help texts and error messages of all verbs."""
