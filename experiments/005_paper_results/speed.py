"""CPU time of all metrics on 1,000 clips, held-out clips used several times: python speed.py RUN CORPUS"""

import argparse
import dataclasses
import resource
import time

import torch

from cyclegan_audio.data.corpus import Corpus
from cyclegan_audio.evaluation.measured import Mels, make_judges, measure
from cyclegan_audio.evaluation.translations import Direction, translate_direction
from cyclegan_audio.evaluation.vocoded import vocode_some
from cyclegan_audio.models.checkpoint import load_pair

CLIPS = 500  # a genre


def repeated(way: Direction) -> tuple[list, torch.Tensor, torch.Tensor]:
    """500 clips of as many tracks as if all were different, and their mels before and after."""
    examples = []
    for place in range(CLIPS):
        turn, row = divmod(place, len(way.examples))
        example = way.examples[row]
        names = {"track": f"{example.clip.track}.{turn}", "clip_id": f"{example.clip.clip_id}.{turn}"}
        examples.append((dataclasses.replace(example.clip, **names), example))
    mels = [torch.stack([getattr(e, name) for _, e in examples]) for name in ("real_db", "fake_db")]
    return [clip for clip, _ in examples], mels[0], mels[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("corpus")
    options = parser.parse_args()
    corpus, pair = Corpus.open(options.corpus), load_pair(options.run)
    ways = [repeated(translate_direction(pair, corpus, to, CLIPS)) for to in reversed(pair.genres)]
    clips = {genre: corpus.clips(genre, "train") for genre in pair.genres}
    training = {g: (own, torch.stack([corpus.mel_db(clip) for clip in own])) for g, own in clips.items()}
    judges = make_judges(corpus, pair.genres, torch.cat([mels_db for _, mels_db in training.values()]))
    start, vocoder_s = time.process_time(), 0.0
    for (own, real_db, fake_db), target, genres in zip(
        ways, reversed(ways), (pair.genres, pair.genres[::-1]), strict=True
    ):
        before = time.process_time()
        vocoded = vocode_some("hybrid", corpus, own, real_db, fake_db)
        vocoder_s += time.process_time() - before
        measure(*genres, Mels(own, real_db, fake_db, *target[:2]), training, judges, vocoded, corpus.mel)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu_s = time.process_time() - start
    print(f"{2 * CLIPS} clips: {cpu_s:.0f} CPU s, {vocoder_s:.0f} by the vocoder; {peak:.0f} MiB")


if __name__ == "__main__":
    main()
