"""Measure what the checksums cost when a training loads its corpus, with warm and with empty page cache.

python experiments/012_attack/checksums.py CORPUS GENRE_A GENRE_B
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

N_RUNS = 9


def load(corpus: str, genre_a: str, genre_b: str, check: bool) -> None:
    """Load all training and validation clips as `train` does; print wall and CPU seconds, and the clips."""
    from cyclegan_audio.corpus import corpus as corpus_module
    from cyclegan_audio.data.datamodule import UnpairedMelDataModule

    with patch.object(corpus_module, "check_row", corpus_module.check_row if check else lambda *_: None):
        wall, cpu = time.perf_counter(), time.process_time()
        data = UnpairedMelDataModule(corpus, genre_a, genre_b, frame_multiple=4)
        data.setup("fit")
        times = time.perf_counter() - wall, time.process_time() - cpu
    print(*times, sum(len(clips) for split in ("train", "val") for clips in data.clips(split)))


def empty_page_cache(folder: Path) -> None:
    """Drop the files of a folder from the page cache of the system."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    """Time loading in a process of its own, with and without checks in turn; print medians."""
    corpus, genre_a, genre_b = sys.argv[1:4]
    for cold in (False, True):
        times: dict[bool, list[list[float]]] = {True: [], False: []}
        for number in range(2 * N_RUNS):
            check = number % 2 == 0
            if cold:
                empty_page_cache(Path(corpus))
            command = [sys.executable, __file__, corpus, genre_a, genre_b, str(int(check))]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            wall, cpu, n_clips = map(float, output.split())
            times[check].append([wall, cpu])
        print(f"page cache {'empty' if cold else 'warm'}, {n_clips:.0f} clips, n = {N_RUNS}:")
        for index, name in enumerate(("wall", "CPU")):
            with_check, without = (statistics.median(run[index] for run in times[c]) for c in (True, False))
            print(
                f"  {name}: {with_check:.3f} s with checks, {without:.3f} s without, "
                f"{with_check / without - 1:+.1%}"
            )


if __name__ == "__main__":
    if len(sys.argv) == 5:
        load(*sys.argv[1:4], check=sys.argv[4] == "1")
    else:
        main()
