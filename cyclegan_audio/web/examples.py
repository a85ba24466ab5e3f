"""Example songs of the page, which the project's synthetic bands play."""

from pathlib import Path

import torch

from cyclegan_audio.audio.io import save
from cyclegan_audio.demo.composition import compose_score
from cyclegan_audio.demo.render import render_song
from cyclegan_audio.demo.score import SAMPLE_RATE_HZ

EXAMPLES = {"lofi": "Example: lo-fi", "rnb": "Example: R&B", "trap": "Example: trap"}
SEED, SECONDS = 7, 16.0


def example_song(genre: str, cache: Path) -> Path:
    """Return an example song of a genre of `EXAMPLES`; it is rendered at its first use, in a few seconds."""
    song = cache / "examples" / f"example_{genre}.wav"
    if not song.exists():
        samples, _ = render_song(compose_score(SEED, 0, None, SECONDS, 0), genre, SECONDS)
        save(song, torch.from_numpy(samples), SAMPLE_RATE_HZ)
    return song
