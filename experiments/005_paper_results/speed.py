"""Measure the time of all metrics on 1,000 (repeated) held-out clips: python speed.py RUN CORPUS"""

import argparse
import dataclasses
import resource
import time

import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.genre_classifier.classifier import LINEAR, NETWORK, train_genre_classifier
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import load_tagger
from cyclegan_audio.reports.evaluation.classifiers import make_classifiers
from cyclegan_audio.reports.evaluation.scoring import DirectionMels, score_direction
from cyclegan_audio.reports.evaluation.sounds import GenreTagger, SoundJudge
from cyclegan_audio.reports.evaluation.translations import held_out_clips, translate_clip
from cyclegan_audio.vocoders import make_vocoder

CLIPS, TRANSLATED = 500, 40  # per genre


@dataclasses.dataclass(frozen=True)
class Clock:
    """Wall time and CPU time of all cores in seconds."""

    wall_s: float = dataclasses.field(default_factory=time.perf_counter)
    cpu_s: float = dataclasses.field(default_factory=time.process_time)

    def __sub__(self, other: "Clock") -> "Clock":
        return Clock(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __add__(self, other: "Clock") -> "Clock":
        return Clock(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __str__(self) -> str:
        return f"{self.wall_s:.0f} s wall time, {self.cpu_s:.0f} CPU s"


def repeated(model: TranslationModel, corpus: Corpus, genre: str) -> tuple[list, torch.Tensor, torch.Tensor]:
    """Repeat clips to 500 with a track each; return them and their mels before and after translation."""
    translated = [translate_clip(model, corpus, clip) for clip in held_out_clips(corpus, genre, TRANSLATED)]
    examples = []
    for index in range(CLIPS):
        turn, row = divmod(index, len(translated))
        example = translated[row]
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
    corpus, model = Corpus.open(options.corpus), load_model(options.run)
    directions = [repeated(model, corpus, genre) for genre in model.genres]
    clips = {genre: corpus.clips(genre, "train") for genre in model.genres}
    training = {g: (some, torch.stack([corpus.mel_db(clip) for clip in some])) for g, some in clips.items()}
    make_classifiers(corpus, model.genres, directions[0][1])  # trains the classifiers if they are not saved
    both_db = torch.cat([mels_db for _, mels_db in training.values()])
    start = Clock()
    classifiers = make_classifiers(corpus, model.genres, both_db)
    before = Clock()
    tagger = GenreTagger.listen(load_tagger(), corpus, clips)
    of_tagger = Clock() - before
    judge = SoundJudge(corpus, make_vocoder("hybrid"), METRICS, tagger)
    for (clips_of_genre, real_db, fake_db), target, genres in zip(
        directions, reversed(directions), (model.genres, model.genres[::-1]), strict=True
    ):
        score_direction(
            *genres,
            DirectionMels(clips_of_genre, real_db, fake_db, *target[:2]),
            training,
            classifiers,
            judge,
            corpus.mel,
        )
    print(f"{2 * CLIPS} clips: {Clock() - start}, of it the tagger's training clips {of_tagger}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{torch.get_num_threads()} threads, {peak:.0f} MiB at most")
    for kind in (NETWORK, LINEAR):
        start = Clock()
        train_genre_classifier(corpus, model.genres, kind)
        print(f"{kind} classifier trained on {len(both_db)} clips: {Clock() - start}")


if __name__ == "__main__":
    main()
