"""Tag music with a network that others trained on other music: an independent judge of translations."""

from cyclegan_audio.metrics.tagger.tagger import TAGS, GenreAxis, MusicTagger, TaggedSounds, load_tagger

__all__ = ["TAGS", "GenreAxis", "MusicTagger", "TaggedSounds", "load_tagger"]
