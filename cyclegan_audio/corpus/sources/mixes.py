"""Long mixes as a source: `source=mixes`."""

from cyclegan_audio.corpus.sources.folders import FolderSource


class MixSource(FolderSource):
    """A folder with few long mixes for each genre: blocks of time stand for tracks in the splits."""

    kind = "mixes"
    split_by = "block"
