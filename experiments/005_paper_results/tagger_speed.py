"""Measure the tagger's speed, and compare one patch of a clip with two: python tagger_speed.py CORPUS A B"""

import argparse
import time
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.metrics.tagger import GenreAxis, load_tagger
from cyclegan_audio.metrics.tagger.tagger import BATCH, PATCH_FRAMES, cut_patches
from cyclegan_audio.statistics.estimates import estimate

REPEATS, BLOCKS = 5, 8


def cpu_s(call: Callable[[], object]) -> float:
    """Return the least CPU time of several calls."""

    def once() -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    return min(once() for _ in range(REPEATS))


def two_patches(log_mel: Tensor) -> Tensor:
    """Cut the first and the last 3 s of a clip, which overlap."""
    return torch.stack([log_mel[:PATCH_FRAMES], log_mel[-PATCH_FRAMES:]])


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus, tagger = Corpus.open(options.corpus), load_tagger()
    rate = corpus.mel.sample_rate

    def embed(log_mels: list[Tensor], cut: Callable[[Tensor], Tensor]) -> Tensor:
        patches = torch.cat([cut(log_mel) for log_mel in log_mels])
        each = torch.cat([tagger.network(block)[0] for block in patches.split(BATCH)])
        return each.unflatten(0, (len(log_mels), -1)).mean(1)

    log_mels = {
        (genre, split): [tagger.log_mel(corpus.audio(clip), rate) for clip in corpus.clips(genre, split)]
        for genre in options.genres
        for split in ("train", "test")
    }
    for name, cut in (("the middle patch", cut_patches), ("two patches", two_patches)):
        embeddings = {key: embed(of, cut) for key, of in log_mels.items()}
        for source, target in combinations(options.genres, 2):
            axis = GenreAxis.between(embeddings[source, "train"], embeddings[target, "train"])
            for genre in (source, target):
                tracks = [clip.track for clip in corpus.clips(genre, "test")]
                at = estimate(axis.position(embeddings[genre, "test"]).tolist(), tracks)
                print(
                    f"{name}, {source} to {target}: {genre} at {at.mean:.3f} ±{at.high - at.mean:.3f}, "
                    f"sd of clips {at.sd:.3f}, n = {at.n} clips of {at.groups} songs"
                )
    clip = corpus.audio(corpus.clips(options.genres[0], "test")[0])
    block = torch.cat([cut_patches(log_mels[options.genres[0], "test"][0])] * BATCH)
    patch_s = cpu_s(lambda: [tagger.network(block) for _ in range(BLOCKS)]) / (BATCH * BLOCKS)
    mel_s = cpu_s(lambda: [tagger.log_mel(clip, rate) for _ in range(BLOCKS)]) / BLOCKS
    print(f"{1 / patch_s:.0f} patches a second; log mel of a clip {1000 * mel_s:.1f} ms of CPU time")


if __name__ == "__main__":
    main()
