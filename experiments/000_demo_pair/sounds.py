"""Write before and after of a held-out demo song as MP3: python experiments/000_demo_pair/sounds.py SONGS OUT

SONGS is the folder of `prepare source=demo source.seed=1077`. Of the first score, seconds 8 to 16 are kept;
nothing is chosen by ear: each band's version, and its translation to the other genre, all equally loud.
"""

import sys
from pathlib import Path

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.listening.stimuli import match_loudness

SCORE, START_S, END_S = "score_000.wav", 8, 16
GENRES = ("lofi", "rnb")

songs, out = map(Path, sys.argv[1:])
translator = Translator.load("demo")
sounds, rate = {}, 0
for genre, target in (GENRES, GENRES[::-1]):
    song, rate = decode(songs / "paired" / genre / SCORE, mono=True)
    sounds[genre] = song[0]
    sounds[f"{genre}_to_{target}"] = translator(song, rate, to=target)[0]
excerpts = [sound[START_S * rate : END_S * rate] for sound in sounds.values()]
for name, sound in zip(sounds, match_loudness(excerpts, rate)[0], strict=True):
    path = out / f"{name}.mp3"
    save(path, sound[None], rate)
    print(path, path.stat().st_size, "bytes")
