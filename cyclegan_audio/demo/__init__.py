"""Demo songs: synthetic music in three genres with scores, to try everything without a music collection."""

from cyclegan_audio.demo.composition import compose_score
from cyclegan_audio.demo.generate import DemoSettings, DemoSong, make_demo_songs, plan_demo_songs
from cyclegan_audio.demo.render import render_song
from cyclegan_audio.demo.score import GENRES, SAMPLE_RATE_HZ, Score, bar_contents

__all__ = [
    "GENRES",
    "SAMPLE_RATE_HZ",
    "DemoSettings",
    "DemoSong",
    "Score",
    "bar_contents",
    "compose_score",
    "make_demo_songs",
    "plan_demo_songs",
    "render_song",
]
