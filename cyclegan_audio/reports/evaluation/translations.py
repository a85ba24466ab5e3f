"""Translation of held-out clips, and the data that all sections of a report share."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Clip, Corpus, evenly_spaced
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.demo.corpus import ensure_demo_corpus
from cyclegan_audio.inference.checkpoints import DEMO_PAIRS, PRETRAINED
from cyclegan_audio.inference.clip_translation import translate_mel_db, translate_with_cycle
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.distances import RECOMMENDED_CLIPS
from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.metrics.paired_error import PairedScores, mean_abs_db, score_pairs
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import MusicTagger
from cyclegan_audio.reports.evaluation.classifiers import Classifiers, make_classifiers
from cyclegan_audio.reports.evaluation.scoring import DirectionMels, DirectionScores, score_direction
from cyclegan_audio.reports.evaluation.sounds import GenreTagger, SoundJudge
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import suggest_path
from cyclegan_audio.vocoders import make_vocoder

MAX_TRAINING_CLIPS = 400


@dataclasses.dataclass(frozen=True)
class TranslatedClip:
    """A held-out clip and its translations, mels in dB (M, F).

    Attributes:
        real_db: the clip itself.
        fake_db: the clip translated to the other genre.
        rec_db: the clip translated there and back (cycle); None where the model has one direction only.
        idt_db: the clip through the generator that translates to its genre (identity); None without that
            generator.
    """

    clip: Clip
    real_db: Tensor
    fake_db: Tensor
    rec_db: Tensor | None = None
    idt_db: Tensor | None = None

    @property
    def states(self) -> dict[str, Tensor]:
        """Return the mels that exist by name, in the order above."""
        states = {"real": self.real_db, "fake": self.fake_db, "rec": self.rec_db, "idt": self.idt_db}
        return {name: mel_db for name, mel_db in states.items() if mel_db is not None}


@dataclasses.dataclass(frozen=True)
class PairedClip:
    """A clip, its translation, and the same score played by the target genre; mels in dB (M, F)."""

    clip: Clip
    truth: Clip
    real_db: Tensor
    fake_db: Tensor
    truth_db: Tensor


@dataclasses.dataclass(frozen=True)
class DirectionResult:
    """Held-out clips translated in one direction.

    Attributes:
        source, target: genres.
        examples: translated clips of the split `test`.
        paired: translated clips with ground truth; empty where the corpus has none.
        means_db: mean spectra (M,) of the training clips of source and target.
        real_targets: held-out clips of the target genre.
    """

    source: str
    target: str
    examples: list[TranslatedClip]
    paired: list[PairedClip]
    means_db: tuple[Tensor, Tensor]
    target_clips: list[Clip] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"

    def score(self, mel: MelSpectrogram) -> PairedScores:
        """Compare the paired clips (at least one) with their ground truth, grouped by score."""
        triples = [(example.real_db, example.fake_db, example.truth_db) for example in self.paired]
        return score_pairs(triples, [str(example.clip.score) for example in self.paired], self.means_db, mel)

    def reconstruction_errors_db(self) -> dict[str, list[float]]:
        """Return `cycle` and `identity` error of each clip in mean |dB|; empty for one direction only."""
        names = {"cycle": "rec", "identity": "idt"}
        return {
            name: [mean_abs_db(example.states[state], example.real_db) for example in self.examples]
            for name, state in names.items()
            if all(state in example.states for example in self.examples)
        }


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """The data that all sections of a report share.

    Attributes:
        run: RUN as named on the command line.
        checkpoint: its checkpoint file, or the folder of a pretrained model.
        run_folder: folder with the run's losses.csv; None where there is none.
        model: the model.
        corpus: the corpus with the held-out clips.
        directions: A to B, then B to A; those that the model has.
        vocoder: name of the vocoder.
        second_run: the RUN that was trained without identity loss; None without one.
        without_identity: the same clips translated by that run.
        shifts: number of time shifts over which the generators were averaged.
        seconds: time that translation took.
        n_excluded: clips outside the training split that were excluded because a run was trained on them.
        metrics: the metrics to compute.
        tagger: the independent tagger, or the reason why there is none.
    """

    run: str
    checkpoint: Path
    run_folder: Path | None
    model: TranslationModel
    corpus: Corpus
    directions: list[DirectionResult]
    vocoder: str = "hybrid"
    second_run: str | None = None
    without_identity: list[DirectionResult] = dataclasses.field(default_factory=list)
    shifts: int = 1
    seconds: float = 0.0
    n_excluded: int = 0
    metrics: Sequence[MetricSpec] = METRICS
    tagger: MusicTagger | str = "it was not loaded"

    @property
    def mel(self) -> MelSpectrogram:
        """The mel settings, the same for model and corpus."""
        return self.model.mel

    @cached_property
    def training(self) -> dict[str, tuple[list[Clip], Tensor]]:
        """Training clips of each genre, evenly spaced, with their mels (N, M, F) in dB.

        At most 400, or as many as there are translated clips.
        """
        most = max([MAX_TRAINING_CLIPS, *(len(direction.examples) for direction in self.directions)])
        clips = {genre: evenly_spaced(self.corpus.clips(genre, "train"), most) for genre in self.model.genres}
        return {
            genre: (of_genre, torch.stack([self.corpus.mel_db(clip) for clip in of_genre]))
            for genre, of_genre in clips.items()
        }

    @cached_property
    def classifiers(self) -> Classifiers:
        """Genre classifiers and embeddings, fitted to training clips."""
        return make_classifiers(
            self.corpus, self.model.genres, torch.cat([mels_db for _, mels_db in self.training.values()])
        )

    @cached_property
    def sound_judge(self) -> SoundJudge:
        """The judge of sounds; it has the tagger if the corpus keeps the audio of training clips."""
        return SoundJudge(self.corpus, make_vocoder(self.vocoder), self.metrics, self._genre_tagger())

    def _genre_tagger(self) -> GenreTagger | str:
        if isinstance(self.tagger, str):
            return self.tagger
        most = max([RECOMMENDED_CLIPS, *(len(direction.examples) for direction in self.directions)])
        clips = {genre: evenly_spaced(of_genre, most) for genre, (of_genre, _) in self.training.items()}
        try:
            return GenreTagger.listen(self.tagger, self.corpus, clips)
        except UserError as error:
            return str(error)

    @cached_property
    def direction_scores(self) -> list[DirectionScores]:
        """Scores of all candidates, one entry for each direction."""
        out = []
        for direction in self.directions:
            clips = [example.clip for example in direction.examples]
            real_db = torch.stack([example.real_db for example in direction.examples])
            fake_db = torch.stack([example.fake_db for example in direction.examples])
            target_db = torch.stack([self.corpus.mel_db(clip) for clip in direction.target_clips])
            mels = DirectionMels(clips, real_db, fake_db, direction.target_clips, target_db)
            common = self.training, self.classifiers, self.sound_judge, self.mel, self.metrics
            out.append(score_direction(direction.source, direction.target, mels, *common))
        return out

    @cached_property
    def paired_scores(self) -> dict[str, PairedScores]:
        """Scores against the ground truth by direction (`lofi to trap`); empty without paired clips."""
        return {
            str(direction): direction.score(self.mel) for direction in self.directions if direction.paired
        }


def translate_direction(
    model: TranslationModel,
    corpus: Corpus,
    to: str,
    n_clips: int,
    on_clip: Callable[[], None] = lambda: None,
) -> DirectionResult:
    """Translate at most `n_clips` held-out clips and twice as many paired clips to genre `to`.

    Raises:
        UserError: the corpus has no held-out or no training clips of the genre.
    """
    source = next(genre for genre in model.genres if genre != to)
    clips, target_clips = (held_out_clips(corpus, genre, n_clips) for genre in (source, to))
    examples = []
    for clip in clips:
        examples.append(translate_clip(model, corpus, clip))
        on_clip()
    paired = []
    for clip, truth in held_out_pairs(corpus, source, to, n_clips):
        real_db = corpus.mel_db(clip)
        fake_db = translate_normalised(model, corpus, to, real_db)
        paired.append(PairedClip(clip, truth, real_db, fake_db, corpus.mel_db(truth)))
        on_clip()
    means_db = mean_spectrum(corpus, source), mean_spectrum(corpus, to)
    return DirectionResult(source, to, examples, paired, means_db, target_clips)


def translate_clip(model: TranslationModel, corpus: Corpus, clip: Clip) -> TranslatedClip:
    """Translate a clip to the other genre; compute cycle and identity if the model has both directions."""
    direction = model.direction(next(genre for genre in model.genres if genre != clip.genre))
    states = translate_with_cycle(
        model.generators,
        direction,
        corpus.mel_db(clip),
        model.mel,
        partial(corpus.normalisation.apply, mel=model.mel),
    )
    return TranslatedClip(clip, **{f"{name}_db": mel_db for name, mel_db in states.items()})


def translate_normalised(model: TranslationModel, corpus: Corpus, to: str, mel_db: Tensor) -> Tensor:
    """Translate a mel (M, F) in dB to genre `to`, and normalise it as the corpus is."""
    range_db = model.mel.range_db(mel_db)
    return corpus.normalisation.apply(
        translate_mel_db(model.generator(to), mel_db, model.mel, range_db), model.mel
    )


def held_out_clips(corpus: Corpus, genre: str, n_clips: int) -> list[Clip]:
    """Return at most `n_clips` clips of the split `test`, evenly spaced over tracks and time.

    Raises:
        UserError: there are none.
    """
    clips = corpus.clips(genre, "test")
    if not clips:
        raise UserError(
            f"{corpus.folder} has no test clips of {genre} that this run was not trained on; "
            f"prepare it from more tracks of {genre}"
        )
    return evenly_spaced(clips, n_clips)


def held_out_pairs(corpus: Corpus, source: str, target: str, n_clips: int) -> list[tuple[Clip, Clip]]:
    """Return at most twice `n_clips` pairs, evenly spaced."""
    return evenly_spaced(corpus.paired_clips(source, target), 2 * n_clips)


def mean_spectrum(corpus: Corpus, genre: str) -> Tensor:
    """Average training clips of a genre (at most 400, evenly spaced) over frames, in dB (M,).

    Raises:
        UserError: there are no training clips.
    """
    clips = corpus.clips(genre, "train")
    if not clips:
        raise UserError(f"{corpus.folder} has no training clips of {genre}; prepare it again")
    return torch.stack(
        [corpus.mel_db(clip).mean(1) for clip in evenly_spaced(clips, MAX_TRAINING_CLIPS)]
    ).mean(0)


def open_corpus(model: TranslationModel, corpus: str | Path | None, path: Path) -> Corpus:
    """Open `corpus`, by default the corpus of the run, or the demo songs for a pretrained model of them.

    The corpus is normalised as in training. `model.genres` takes the corpus's spelling of the genres.

    Raises:
        UserError: there is no corpus, or its mel settings or genres differ.
    """
    trained_on = model.config.get("data", {}).get("corpus")
    if corpus is None and path.parent == PRETRAINED and path.name in DEMO_PAIRS:
        trained_on = ensure_demo_corpus()
    elif corpus is None and path.parent == PRETRAINED:
        raise UserError(
            f"{path.name} ships without the music that it was trained on; prepare music of "
            f"{' and '.join(model.genres)} with mel={model.mel.name}, and name its folder with --corpus DIR"
        )
    if corpus is None and trained_on is None:
        raise UserError(f"{path} does not name its training corpus; name a corpus with --corpus DIR")
    if corpus is None and not Path(trained_on).is_dir():
        raise UserError(
            f"the corpus {trained_on} of this run does not exist; give its folder with --corpus DIR"
            f"{suggest_path(trained_on)}"
        )
    opened = Corpus.open(corpus if corpus is not None else trained_on)
    model.mel.check_compatible(opened.mel, f"the model {path}", f"the corpus {opened.folder}")
    model.genres = opened.check_genres(*model.genres)
    return opened.normalised(CorpusNormalisation.from_dict(model.normalisation))
