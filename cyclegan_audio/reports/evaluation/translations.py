"""Held-out clips through the generators: everything that the sections measure and show."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.demo.corpus import ensure_demo_corpus
from cyclegan_audio.inference.checkpoints import PRETRAINED
from cyclegan_audio.inference.clips import apply_generator, translate_states
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.metrics.paired_error import PairedScores, mean_abs_db, score_pairs
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.evaluation.classifiers import Classifiers, make_classifiers
from cyclegan_audio.reports.evaluation.scoring import Measured, Mels, measure
from cyclegan_audio.reports.evaluation.vocoder_round_trip import vocode_some
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path

MEAN_CLIPS = 400
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class TranslatedClip:
    """A held-out clip and what the generators make of it, mels in dB (M, F).

    Attributes:
        real_db: the clip itself.
        fake_db: translated to the other genre.
        rec_db: translated there and back; None where the model has no way back.
        idt_db: through the generator of its own genre, which should change nothing; None without one.
    """

    clip: Clip
    real_db: Tensor
    fake_db: Tensor
    rec_db: Tensor | None = None
    idt_db: Tensor | None = None

    @property
    def states(self) -> dict[str, Tensor]:
        """By name, those that there are, in the order above."""
        found = {"real": self.real_db, "fake": self.fake_db, "rec": self.rec_db, "idt": self.idt_db}
        return {name: mel_db for name, mel_db in found.items() if mel_db is not None}


@dataclasses.dataclass(frozen=True)
class PairedExample:
    """A clip, its translation, and the same score played by the target genre, mels in dB (M, F)."""

    clip: Clip
    truth: Clip
    real_db: Tensor
    fake_db: Tensor
    truth_db: Tensor


@dataclasses.dataclass(frozen=True)
class DirectionResult:
    """One way of translation with all its held-out clips.

    Attributes:
        source, target: genres.
        examples: clips of the split `test`.
        paired: clips with ground truth, empty where the corpus has none.
        means_db: mean spectra (M,) of the training clips of source and target.
        real_targets: held-out clips of the target genre.
    """

    source: str
    target: str
    examples: list[TranslatedClip]
    paired: list[PairedExample]
    means_db: tuple[Tensor, Tensor]
    real_targets: list[Clip] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"

    def score(self, mel: MelSpectrogram) -> PairedScores:
        """The paired clips against their ground truth, grouped by score; there must be some."""
        triples = [(pair.real_db, pair.fake_db, pair.truth_db) for pair in self.paired]
        return score_pairs(triples, [str(pair.clip.score) for pair in self.paired], self.means_db, mel)

    def lost_db(self) -> dict[str, list[float]]:
        """Mean |dB| of each clip to itself there and back (`cycle`), and through its own genre's generator
        (`identity`); empty where the model has no way back.
        """
        names = {"cycle": "rec", "identity": "idt"}
        return {
            name: [mean_abs_db(example.states[state], example.real_db) for example in self.examples]
            for name, state in names.items()
            if all(state in example.states for example in self.examples)
        }


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """All that a section may use; whole when it is made.

    Attributes:
        run: the RUN as it was named.
        checkpoint: the file (or shipped folder) that it stands for.
        run_folder: where the run's losses.csv lies, None where it has no folder.
        directions: A to B, then B to A, those that there are.
        vocoder: name of the way back to sound.
        second_run: the RUN that was trained without identity loss, None without one.
        without_identity: the same clips by that run.
        shifts: of the clips, over which generators were averaged.
        seconds: what translating took.
        left_out: clips outside of the training split that are not used, since a run was trained on them.
        metrics: what is measured of each clip.
    """

    run: str
    checkpoint: Path
    run_folder: Path | None
    pair: TranslationModel
    corpus: Corpus
    directions: list[DirectionResult]
    vocoder: str = "hybrid"
    second_run: str | None = None
    without_identity: list[DirectionResult] = dataclasses.field(default_factory=list)
    shifts: int = 1
    seconds: float = 0.0
    left_out: int = 0
    metrics: Sequence[MetricSpec] = METRICS

    @property
    def mel(self) -> MelSpectrogram:
        """The settings of pair and corpus alike."""
        return self.pair.mel

    @cached_property
    def training(self) -> dict[str, tuple[list[Clip], Tensor]]:
        """Training clips of each genre (at most 400, spread evenly) with their mels (N, M, F) in dB."""
        clips = {genre: spread(self.corpus.clips(genre, "train"), MEAN_CLIPS) for genre in self.pair.genres}
        return {
            genre: (own, torch.stack([self.corpus.mel_db(clip) for clip in own]))
            for genre, own in clips.items()
        }

    @cached_property
    def classifiers(self) -> Classifiers:
        """Genre classifiers and embeddings, from training clips."""
        return make_classifiers(
            self.corpus, self.pair.genres, torch.cat([mels_db for _, mels_db in self.training.values()])
        )

    @cached_property
    def measured(self) -> list[Measured]:
        """Every candidate's scores by direction."""
        out = []
        for way in self.directions:
            clips = [example.clip for example in way.examples]
            real_db = torch.stack([example.real_db for example in way.examples])
            fake_db = torch.stack([example.fake_db for example in way.examples])
            vocoded = vocode_some(self.vocoder, self.corpus, clips, real_db, fake_db)
            target_db = torch.stack([self.corpus.mel_db(clip) for clip in way.real_targets])
            mels = Mels(clips, real_db, fake_db, way.real_targets, target_db)
            known = self.training, self.classifiers, vocoded, self.mel, self.metrics
            out.append(measure(way.source, way.target, mels, *known))
        return out

    @cached_property
    def paired_scores(self) -> dict[str, PairedScores]:
        """Scores against ground truth by direction (`lofi to trap`); empty where the corpus has no pairs."""
        return {str(way): way.score(self.mel) for way in self.directions if way.paired}


def translate_direction(
    pair: TranslationModel,
    corpus: Corpus,
    to: str,
    n_clips: int,
    on_clip: Callable[[], None] = lambda: None,
) -> DirectionResult:
    """Translate at most `n_clips` held-out clips and twice as many pairs to genre `to`.

    Raises:
        UserError: the corpus has no held-out or no training clips of the genre.
    """
    source = next(genre for genre in pair.genres if genre != to)
    clips, real_targets = (held_out(corpus, genre, n_clips) for genre in (source, to))
    examples = []
    for clip in clips:
        examples.append(translate_clip(pair, corpus, clip))
        on_clip()
    paired = []
    for clip, truth in held_out_pairs(corpus, source, to, n_clips):
        real_db = corpus.mel_db(clip)
        fake_db = through(pair, corpus, to, real_db)
        paired.append(PairedExample(clip, truth, real_db, fake_db, corpus.mel_db(truth)))
        on_clip()
    means_db = mean_spectrum(corpus, source), mean_spectrum(corpus, to)
    return DirectionResult(source, to, examples, paired, means_db, real_targets)


def translate_clip(pair: TranslationModel, corpus: Corpus, clip: Clip) -> TranslatedClip:
    """A clip to the other genre and, where there is a way back, there and through its own generator."""
    direction = pair.direction(next(genre for genre in pair.genres if genre != clip.genre))
    states = translate_states(
        pair.generators,
        direction,
        corpus.mel_db(clip),
        pair.mel,
        partial(corpus.normalisation.apply, mel=pair.mel),
    )
    return TranslatedClip(clip, **{f"{name}_db": mel_db for name, mel_db in states.items()})


def through(pair: TranslationModel, corpus: Corpus, to: str, mel_db: Tensor) -> Tensor:
    """Translate a mel (M, F) in dB to genre `to`, and bring it to what the corpus is matched to."""
    range_db = pair.mel.range_db(mel_db)
    return corpus.normalisation.apply(
        apply_generator(pair.generator(to), mel_db, pair.mel, range_db), pair.mel
    )


def held_out(corpus: Corpus, genre: str, n_clips: int) -> list[Clip]:
    """At most `n_clips` clips of the split `test`, spread evenly over tracks and time.

    Raises:
        UserError: there is none.
    """
    clips = corpus.clips(genre, "test")
    if not clips:
        raise UserError(
            f"{corpus.folder} holds no clips of {genre} to test on that this run has not been trained on; "
            f"prepare it from more tracks of {genre}"
        )
    return spread(clips, n_clips)


def held_out_pairs(corpus: Corpus, source: str, target: str, n_clips: int) -> list[tuple[Clip, Clip]]:
    """At most twice `n_clips` pairs, spread evenly."""
    return spread(corpus.paired_clips(source, target), 2 * n_clips)


def mean_spectrum(corpus: Corpus, genre: str) -> Tensor:
    """(M,) mean in dB over frames of the genre's training clips (at most 400, spread evenly).

    Raises:
        UserError: there are no training clips.
    """
    clips = corpus.clips(genre, "train")
    if not clips:
        raise UserError(f"{corpus.folder} holds no training clips of {genre}; prepare it again")
    return torch.stack([corpus.mel_db(clip).mean(1) for clip in spread(clips, MEAN_CLIPS)]).mean(0)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items at even distances, in their order."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def open_corpus(pair: TranslationModel, corpus: str | Path | None, path: Path) -> Corpus:
    """Open the named corpus, else the run's own, or for a shipped pair the demo songs.

    It is matched as the run's corpus was; the pair takes on the corpus's spelling of its genres.

    Raises:
        UserError: there is none, or it has other mel settings or genres.
    """
    trained_on = pair.config.get("data", {}).get("corpus")
    if corpus is None and path.parent == PRETRAINED:
        trained_on = ensure_demo_corpus()
    if corpus is None and trained_on is None:
        raise UserError(f"{path} does not say which corpus it was trained on; name one by --corpus DIR")
    if corpus is None and not Path(trained_on).is_dir():
        raise UserError(
            f"the corpus {trained_on} of this run is not there; say where it lies by --corpus DIR"
            f"{suggest_path(trained_on)}"
        )
    opened = Corpus.open(corpus if corpus is not None else trained_on)
    pair.mel.check_compatible(opened.mel, f"the model {path}", f"the corpus {opened.folder}")
    pair.genres = opened.resolve_genres(*pair.genres)
    return opened.normalised(CorpusNormalisation.from_dict(pair.normalisation))
