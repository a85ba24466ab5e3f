"""What lies on disk: clips with their mels and audio, the manifest, splits, and how genres differ."""
