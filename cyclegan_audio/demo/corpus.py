"""List the demo songs as a source (`source=demo`), and prepare their corpus if a command names no corpus."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import CONF_DIR, slug
from cyclegan_audio.corpus.manifest_file import MANIFEST_FILE
from cyclegan_audio.corpus.preparation.writer import build_settings, prepare_corpus
from cyclegan_audio.corpus.settings_file import DamagedSettingsError, OtherVersionError, read_settings
from cyclegan_audio.corpus.sources import FolderSource, SourceFile
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.locks import LockedError, process_lock
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.progress import progress_bar


class DemoSource:
    """Lists the demo songs in `folder`, and generates them on first use.

    Args:
        folder: folder of the songs; their corpus is beside it by default.
        settings: seed, songs_per_genre, paired_scores and seconds of `DemoSettings`.
    """

    split_by = "track"

    def __init__(self, folder: str | Path, **settings: Any) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self.default_corpus: Path | None = self.folder.parent / "corpus"
        self._complete = False

    def files(self) -> list[SourceFile]:
        """List all songs; generate missing ones first."""
        from cyclegan_audio.demo import GENRES

        if not self._complete:
            self._generate()
            self._complete = True
        return FolderSource({genre: self.folder / genre for genre in GENRES}, self.folder / "paired").files()

    def _generate(self) -> None:
        from cyclegan_audio.demo import DemoSettings, make_demo_songs

        demo_settings = DemoSettings(**self.settings)
        with (
            _one_at_a_time(self.folder),
            progress_bar("generating demo songs", demo_settings.n_songs, "songs") as bar,
        ):
            make_demo_songs(self.folder, demo_settings, on_song=lambda _: bar.advance())

    def describe(self) -> dict[str, Any]:
        """Return the settings of the songs."""
        return {"kind": "demo", **self.settings}


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process writes the folder, and hold its lock within the block.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f".{folder.name}.lock")
        with ExitStack() as stack:
            try:
                stack.enter_context(process_lock(lock))
            except LockedError:
                echo(f"another process writes {folder}; waiting for it", flush=True)
                stack.enter_context(process_lock(lock, wait=True))
            yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write demo songs into {folder} ({reason}); choose another folder") from error


def ensure_demo_corpus(
    folder: str | Path = "data/demo", mel: DictConfig | None = None, **settings: int | float
) -> Path:
    """Return the corpus of the demo songs in `folder`; prepare it first if necessary.

    Args:
        folder: songs are written to `folder`/songs, their corpus to `folder`/corpus.
        mel: a choice of `conf/mel`; another one than the default of `prepare` has a separate corpus.
        settings: changes of `conf/source/demo.yaml`: seed, songs_per_genre, paired_scores, seconds.

    Raises:
        UserError: the folder is not writable, or has demo songs with other settings.
    """
    cfg = OmegaConf.load(CONF_DIR / "prepare.yaml")  # without compose, as Hydra may be running already
    assert isinstance(cfg, DictConfig)
    default_mel = OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml")
    cfg.mel = mel or default_mel
    cfg.source = OmegaConf.load(CONF_DIR / "source" / "demo.yaml")
    cfg.source.update(settings, folder=str(Path(folder) / "songs"))
    corpus = Path(folder) / ("corpus" if cfg.mel.name == default_mel.name else f"corpus_{slug(cfg.mel.name)}")
    echo(f"no corpus given: using the demo songs (corpus={corpus})", flush=True)
    source = instantiate(cfg.source)
    if _is_complete(corpus, source):
        return corpus
    with _one_at_a_time(corpus):
        if not _is_complete(corpus, source):  # another process may have prepared it in between
            prepare_corpus(source, corpus, build_settings(cfg))
    return corpus


def _is_complete(corpus: Path, source: DemoSource) -> bool:
    """Return whether the corpus of these songs is complete; delete it if its format is of another version.

    Raises:
        UserError: it has another format and other music.
    """
    try:
        settings = read_settings(corpus)
    except DamagedSettingsError:
        return False
    except OtherVersionError as error:
        described = error.settings.get("source")
        if not (isinstance(described, dict) and described.get("kind") == source.describe()["kind"]):
            raise
        shutil.rmtree(corpus)
        return False
    return (
        settings is not None
        and (corpus / MANIFEST_FILE).is_file()
        and settings["source"] == source.describe()
    )
