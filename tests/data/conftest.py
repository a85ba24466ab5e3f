"""The fixtures of `tests/corpus`, for what feeds training from such a corpus."""

from tests.corpus.conftest import corpus, settings  # noqa: F401
