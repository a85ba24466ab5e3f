"""Measure the peak memory of `prepare` on a long and a short file: python long_file.py FOLDER [--hours 10]

Writes noise, 8 kHz mono, into FOLDER (some 700 MB for ten hours), prepares it beside a genre of one minute
in a process of its own without keeping audio, and prints the peak resident memory of that process.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
BLOCK_S = 60
SHORT_S = 600
CHILD = """
import resource, sys, time
from cyclegan_audio import prepare
start = time.process_time()
prepare.main()
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"RESULT {peak_mib:.0f} {time.process_time() - start:.1f}", flush=True)
"""


def main() -> None:
    """Write, prepare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--format", choices=["wav", "flac", "mp3"], default="flac")
    arguments = parser.parse_args()
    for seconds in (SHORT_S, round(arguments.hours * 3600)):
        folder = arguments.folder / f"{seconds} s {arguments.format}"
        write(folder / "music" / f"noise.{arguments.format}", seconds)
        write(folder / "other" / "noise.flac", BLOCK_S)
        peak_mib, cpu_s = measure(folder)
        print(f"{arguments.format}, {seconds / 60:.0f} min: peak {peak_mib} MiB, {cpu_s} CPU s", flush=True)


def write(path: Path, seconds: int) -> None:
    """Write noise whose level and colour change every minute, minute by minute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        return
    rng = np.random.default_rng(seconds)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(seconds // BLOCK_S):
            noise = rng.normal(0, rng.uniform(0.02, 0.1), BLOCK_S * RATE)
            file.write(np.convolve(noise, rng.normal(size=4) / 2, mode="same").clip(-1, 1))


def measure(folder: Path) -> tuple[str, str]:
    """Measure peak MiB and CPU seconds of preparing `folder`/music."""
    genres = ("music", "other")
    arguments = [word for name in genres for word in ("--genre", f"{name}={folder / name}")]
    arguments += [f"corpus={folder / 'corpus'}", "workers=1", "audio=none"]
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        sys.exit(f"prepare failed:\n{done.stdout}{done.stderr}")
    _, peak_mib, cpu_s = lines[0].split()
    return peak_mib, cpu_s


if __name__ == "__main__":
    main()
