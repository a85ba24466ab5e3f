"""Demo songs: made-up music in three genres, with scores, so that everything can be tried at once."""

from cyclegan_audio.data.demo.composition import compose_score
from cyclegan_audio.data.demo.render import render_song
from cyclegan_audio.data.demo.score import GENRES, SAMPLE_RATE_HZ, Score, bar_contents
from cyclegan_audio.data.demo.songs import DemoSettings, DemoSong, make_demo_songs, plan_demo_songs

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
