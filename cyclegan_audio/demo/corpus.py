"""The demo songs as a source, and the corpus made of them when somebody trains without music of their own."""

from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import CONF_DIR, slug
from cyclegan_audio.corpus.build.writer import prepare_corpus, settings_from
from cyclegan_audio.corpus.corpus import MANIFEST, read_settings
from cyclegan_audio.corpus.sources import FolderSource, SourceFile
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar


class DemoSource:
    """Songs made by `cyclegan_audio.demo`, written once into `folder`.

    Args:
        folder: where the songs are kept; their corpus goes beside it by default.
        numbers: seed, songs_per_genre, paired_scores and seconds of `DemoSettings`.
    """

    split_by = "track"

    def __init__(self, folder: str | Path, **numbers: Any) -> None:
        self.folder = Path(folder)
        self.numbers = numbers
        self.default_corpus: Path | None = self.folder.parent / "corpus"
        self._made = False

    def files(self) -> list[SourceFile]:
        """All songs, made where they are not there yet."""
        from cyclegan_audio.demo import GENRES

        if not self._made:
            self._make()
            self._made = True
        return FolderSource({genre: self.folder / genre for genre in GENRES}, self.folder / "paired").files()

    def _make(self) -> None:
        from cyclegan_audio.demo import DemoSettings, make_demo_songs

        settings = DemoSettings(**self.numbers)
        with progress_bar("making demo songs", settings.n_songs, "songs") as bar:
            try:
                make_demo_songs(self.folder, settings, on_song=lambda _: bar.advance())
            except OSError as error:
                reason = error.strerror or error
                raise UserError(
                    f"cannot write demo songs into {self.folder} ({reason}); choose another folder"
                ) from error

    def describe(self) -> dict[str, Any]:
        """What the songs follow from."""
        return {"kind": "demo", **self.numbers}


def ensure_demo_corpus(
    folder: str | Path = "data/demo", mel: DictConfig | None = None, **numbers: int | float
) -> Path:
    """The corpus of the demo songs in `folder`, made where it is not there yet.

    Args:
        folder: songs go to `folder`/songs, their corpus to `folder`/corpus.
        mel: a choice of `conf/mel`; other ones than the default of `prepare` get a corpus of their own.
        numbers: what differs from `conf/source/demo.yaml`: seed, songs_per_genre, paired_scores, seconds.

    Raises:
        UserError: the folder cannot be written, or holds demo songs of other numbers.
    """
    cfg = OmegaConf.load(CONF_DIR / "prepare.yaml")  # not composed: Hydra may be at work already
    assert isinstance(cfg, DictConfig)
    usual = OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml")
    cfg.mel = mel or usual
    cfg.source = OmegaConf.load(CONF_DIR / "source" / "demo.yaml")
    cfg.source.update(numbers, folder=str(Path(folder) / "songs"))
    corpus = Path(folder) / ("corpus" if cfg.mel.name == usual.name else f"corpus_{slug(cfg.mel.name)}")
    print(f"no corpus is named: using the demo songs (corpus={corpus})", flush=True)
    source = instantiate(cfg.source)
    there = read_settings(corpus)
    is_done = there is not None and (corpus / MANIFEST).is_file()
    if not is_done or there is None or there["source"] != source.describe():
        prepare_corpus(source, corpus, settings_from(cfg))
    return corpus
