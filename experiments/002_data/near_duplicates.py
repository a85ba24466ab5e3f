"""Compare all kept clips of a corpus, and count the pairs alike: python near_duplicates.py CORPUS"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from cyclegan_audio.corpus.corpus import read_manifest
from cyclegan_audio.corpus.manifest import Row
from cyclegan_audio.corpus.screening import NearDuplicates
from cyclegan_audio.corpus.screening.near_duplicates import (
    SMOOTHING_FRAMES,
    WORD_BITS,
    decode_fingerprint,
)
from cyclegan_audio.corpus.track_files import read_record


def fingerprints(folder: Path, rows: list[Row]) -> np.ndarray:
    """Return the fingerprints of the clips, (clips, words)."""
    words = {}
    for array in {row["array"] for row in rows}:
        record = read_record(folder / "tracks" / f"{array}.json")
        assert record is not None, f"{array} has no record"
        for clip in record.clips:
            if clip.get("fingerprint"):
                words[record.clip_id(clip)] = decode_fingerprint(clip["fingerprint"])
    n_words = min(len(words[row["clip_id"]]) for row in rows)
    return np.stack([words[row["clip_id"]][:n_words] for row in rows])


def alike(rows: list[Row], words: np.ndarray, one: int, rule: NearDuplicates) -> set[int]:
    """Return the later clips that are alike to a clip."""
    n, found = words.shape[1], set()
    for offset in range(-n // 2, n // 2 + 1):
        mine = words[one, max(offset, 0) : n + min(offset, 0)]
        others = words[one + 1 :, max(-offset, 0) : n - max(offset, 0)]
        errors = np.bitwise_count(mine ^ others).sum(1) / (mine.size * WORD_BITS)
        overlap = 1 - abs(offset) / (n + SMOOTHING_FRAMES)
        for number in np.flatnonzero(errors <= rule.bit_errors) + one + 1:
            in_one_file = rows[one]["array"] == rows[number]["array"]
            distance_s = abs(rows[one]["start_s"] - rows[number]["start_s"])
            if in_one_file and distance_s < rows[one]["duration_s"] - 1e-6:
                continue
            is_near = in_one_file and rows[one]["split"] == rows[number]["split"]
            if overlap >= (rule.same_file_overlap if is_near else rule.other_file_overlap):
                found.add(int(number))
    return found


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    folder = parser.parse_args().corpus
    rows = [row for row in read_manifest(folder) if row["kept"]]
    words = fingerprints(folder, rows)
    pairs: Counter[str] = Counter()
    for one in range(len(rows)):
        for other in alike(rows, words, one, NearDuplicates()):
            pairs[" and ".join(sorted((rows[one]["split"], rows[other]["split"])))] += 1
    print(f"{len(rows)} clips; pairs alike by their splits: {dict(pairs) or 'none'}")


if __name__ == "__main__":
    main()
