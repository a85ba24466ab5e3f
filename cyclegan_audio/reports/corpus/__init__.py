"""A look at the data: what a corpus keeps, what it dropped and why, and in what its genres differ."""

from cyclegan_audio.reports.corpus.page import PAGE, write_corpus_page

__all__ = ["PAGE", "write_corpus_page"]
