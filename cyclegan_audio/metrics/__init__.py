"""Numbers computed from mels and loss curves; they know nothing of runs, corpora or reports."""
