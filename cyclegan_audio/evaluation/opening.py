"""The corpus that a run is judged on."""

from pathlib import Path

from cyclegan_audio.data.corpus import Corpus
from cyclegan_audio.data.demo_corpus import ensure_demo_corpus
from cyclegan_audio.data.matching import Match
from cyclegan_audio.errors import UserError
from cyclegan_audio.hints import suggest_path
from cyclegan_audio.models.checkpoint import SHIPPED
from cyclegan_audio.models.pair import TranslationPair


def open_corpus(pair: TranslationPair, corpus: str | Path | None, path: Path) -> Corpus:
    """The corpus that is named, else the run's own; for a shipped pair the demo songs. Matched as the run's.

    The pair takes on the corpus's spelling of its genres.

    Raises:
        UserError: there is none, or it has other mel settings or genres.
    """
    trained_on = pair.config.get("data", {}).get("corpus")
    if corpus is None and path.parent == SHIPPED:
        trained_on = ensure_demo_corpus()
    if corpus is None and trained_on is None:
        raise UserError(f"{path} does not say which corpus it was trained on; name one by --corpus DIR")
    if corpus is None and not Path(trained_on).is_dir():
        raise UserError(
            f"the corpus {trained_on} of this run is not there; say where it lies by --corpus DIR"
            f"{suggest_path(trained_on)}"
        )
    opened = Corpus.open(corpus if corpus is not None else trained_on)
    pair.mel.require_same(opened.mel, f"the model {path}", f"the corpus {opened.folder}")
    pair.genres = opened.require_genres(*pair.genres)
    return opened.matched(Match.from_dict(pair.match))
