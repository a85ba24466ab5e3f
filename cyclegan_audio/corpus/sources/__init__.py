"""Sources of music: each class lists recordings by genre; `conf/source/` configures them."""

from cyclegan_audio.corpus.sources.base import MelRecording, Source, SourceFile
from cyclegan_audio.corpus.sources.folders import FolderSource, GenreFolders, MixSource

__all__ = ["FolderSource", "GenreFolders", "MelRecording", "MixSource", "Source", "SourceFile"]
