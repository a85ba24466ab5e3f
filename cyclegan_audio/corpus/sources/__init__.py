"""Where music comes from: each class lists recordings by genre; `conf/source/` configures them."""

from cyclegan_audio.corpus.sources.base import MelFile, Source, SourceFile
from cyclegan_audio.corpus.sources.folders import FolderSource, GenreFolders
from cyclegan_audio.corpus.sources.mixes import MixSource

__all__ = ["FolderSource", "GenreFolders", "MelFile", "MixSource", "Source", "SourceFile"]
