"""Page of a corpus: kept and dropped clips, and differences between genres that are not musical."""

from cyclegan_audio.reports.corpus.page import PAGE, write_corpus_page

__all__ = ["PAGE", "write_corpus_page"]
