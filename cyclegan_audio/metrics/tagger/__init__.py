"""Tag music with a network that others trained on other music: an independent judge of translations."""

from cyclegan_audio.metrics.tagger.tagger import GenreAxis, MusicTagger, TaggedSounds, load_tagger

__all__ = ["GenreAxis", "MusicTagger", "TaggedSounds", "load_tagger"]
