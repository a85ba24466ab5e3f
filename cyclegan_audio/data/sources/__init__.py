"""Where music comes from: each class lists recordings by genre; `conf/source/` configures them."""

from cyclegan_audio.data.sources.base import MelFile, Source, SourceFile
from cyclegan_audio.data.sources.folders import FolderSource, GenreFolders
from cyclegan_audio.data.sources.mixes import MixSource

__all__ = ["FolderSource", "GenreFolders", "MelFile", "MixSource", "Source", "SourceFile"]
