"""Measure time and memory of translating songs of growing length.

python experiments/006_sound/long_songs.py --minutes 1 10 --out FOLDER
python experiments/006_sound/long_songs.py --minutes 600 --rate 8000 --vocoder mask --out FOLDER

Each song is noise with a beat and a tone, translated by the model `demo` in a separate process, whose peak
memory is printed. With --seams: how much more the change of the mel varies from frame to frame at borders of
windows than elsewhere, the same at borders of audio chunks, and clicks there and elsewhere.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from cyclegan_audio import Translator
from cyclegan_audio.audio.io import decode, open_writer
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.metrics.artefacts import find_clicks, seam_db
from cyclegan_audio.translation.stages import FADE_FRAMES, MARGIN_FRAMES
from cyclegan_audio.translation.translator import CHUNK_FRAMES
from cyclegan_audio.translation.windowed_generator import SHARED_LENGTH, SHARED_OVERLAP

PART = 1024  # frames at once

CHILD = """
import resource, sys, time
import torch
torch.set_num_threads(1)
from cyclegan_audio import Translator
source, target, vocoder = sys.argv[1:]
translator = Translator.load("demo", vocoder=vocoder, device="cpu")
start = time.process_time()
translator.translate_file(source, target, "rnb", overwrite=True)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def make_song(path: Path, minutes: float, rate: int) -> None:
    """Yield stereo noise with two beats a second and a steady tone, a second at a time."""
    time_s = torch.arange(rate) / rate
    generator = torch.Generator().manual_seed(0)
    with open_writer(path, rate, 2, round(minutes * 60) * rate) as writer:
        for _ in range(round(minutes * 60)):
            hits = torch.randn(2, rate, generator=generator) * torch.exp(-12 * (time_s % 0.5)) * 0.1
            writer.write(hits + 0.1 * torch.sin(2 * torch.pi * 220 * time_s))


def seams(source: Path, target: Path) -> tuple[str, ...]:
    """Measure changes (dB) and clicks per second at borders of windows and chunks and overall."""
    translator = Translator.load("demo", device="cpu")
    mel, changes = translator.mel, []
    sounds = [decode(path, sample_rate=mel.sample_rate, mono=True)[0][0] for path in (source, target)]
    length = len(sounds[0]) // (PART * mel.hop_length) * PART * mel.hop_length
    for a, b in zip(*(sound[:length].split(PART * mel.hop_length) for sound in sounds), strict=True):
        changes.append((mel.mel_db(b[None]) - mel.mel_db(a[None]))[0])
    change = torch.cat(changes, 1)
    overlap, frames = translator.window // SHARED_OVERLAP, change.shape[1]
    hop = translator.window * SHARED_LENGTH - overlap
    step = CHUNK_FRAMES - 2 * MARGIN_FRAMES - FADE_FRAMES
    windows = [frame + edge for frame in range(hop, frames, hop) for edge in (0, overlap)]
    chunks = [
        frame + MARGIN_FRAMES + edge for frame in range(step, frames, step) for edge in (0, FADE_FRAMES)
    ]
    near, usual = clicks(sounds[1][:length], chunks, mel)
    seams = (seam_db(change, windows), seam_db(change, chunks), near, usual)
    return tuple(f"{value:.2f}" for value in (*seams, *clicks(sounds[0][:length], chunks, mel)))


def clicks(sound: Tensor, borders: list[int], mel: MelSpectrogram) -> tuple[float, float]:
    """Count clicks per second within 4 frames of the borders, and everywhere."""
    hop, size = mel.hop_length, PART * mel.hop_length
    marked = torch.cat([find_clicks(part[None], mel.sample_rate)[0] for part in sound.split(size)])
    near = torch.zeros_like(marked)
    for border in borders:
        near[max(border - 4, 0) * hop : (border + 4) * hop] = True
    return tuple(
        float(marked[where].float().mean()) * mel.sample_rate for where in (near, torch.ones_like(near))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", nargs="+", type=float, required=True)
    parser.add_argument("--rate", type=int, default=44100)
    parser.add_argument("--vocoder", default="hybrid")
    parser.add_argument("--seams", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print("| minutes | Hz | vocoder | CPU s | x real time, one core | peak memory MiB | same length |")
    print("|" + "---|" * 7, flush=True)
    for minutes in options.minutes:
        source, target = options.out / "source.wav", options.out / "translated.wav"
        make_song(source, minutes, options.rate)
        command = [sys.executable, "-c", CHILD, str(source), str(target), options.vocoder]
        cpu_s, memory = map(float, subprocess.check_output(command, text=True).split())
        same = soundfile.info(source).frames == soundfile.info(target).frames
        speed = minutes * 60 / cpu_s
        numbers = (f"{cpu_s:.0f}", f"{speed:.1f}", f"{memory:.0f}", same)
        row = (f"{minutes:g}", options.rate, options.vocoder, *numbers)
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        if options.seams:
            names = (
                "at windows dB",
                "at chunks dB",
                "clicks /s at chunks",
                "everywhere",
                "source's at chunks",
                "everywhere",
            )
            print("\n" + ", ".join(f"{n}: {v}" for n, v in zip(names, seams(source, target), strict=True)))


if __name__ == "__main__":
    main()
