"""Score systems (models, baselines, the paired truth) on the held-out clips and pairs of a corpus.

Where `evaluate` has the same number, it is the same: the same clips, normalisation, references and intervals.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus, evenly_spaced
from cyclegan_audio.corpus.leakage import exclude_training_clips
from cyclegan_audio.inference.checkpoints import load_model, resolve_run
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.artefacts import checkerboard_db
from cyclegan_audio.metrics.band_statistics import band_statistics
from cyclegan_audio.metrics.baselines import BandMoments, match_moments
from cyclegan_audio.metrics.distances import (
    KAD,
    KERNEL,
    PCAEmbedding,
    distances_to,
    kernel_audio_distance,
    kernel_distance,
)
from cyclegan_audio.metrics.metric_spec import MetricInput, compute_metrics
from cyclegan_audio.metrics.paired_error import MATCHED_MEAN, MODEL, score_pairs
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import TaggedSounds, load_tagger
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.report_files import JSON_FILE
from cyclegan_audio.reports.evaluation.scoring import mean_over_tracks
from cyclegan_audio.reports.evaluation.sounds import BLOCK, GenreTagger
from cyclegan_audio.reports.evaluation.translations import (
    MAX_TRAINING_CLIPS,
    held_out_clips,
    held_out_pairs,
    mean_spectrum,
    open_corpus,
    translate_normalised,
)
from cyclegan_audio.statistics.estimates import estimate
from cyclegan_audio.utils.defaults import HELD_OUT_CLIPS
from cyclegan_audio.utils.devices import parallel_map
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import DEFAULT, VocoderInput, make_vocoder

UNTOUCHED, EQUALISER, TRUTH = "untouched", "equaliser", "paired truth"
BASELINES = (UNTOUCHED, EQUALISER, TRUTH)
KEPT = ("onset_f1", "chroma", "bass", "checkerboard_db")  # names of `METRICS`
PUBLISHED = ("genre_classifier", *KEPT)
CLASSIFIER = "genre_classifier"
PUBLISHED_ROWS = {"untouched": UNTOUCHED, "matched_moments": EQUALISER, "real_target": "real target"}
Translate = Callable[[Tensor], Tensor]  # from a mel (M, F) in dB to its translation
Number = dict[str, Any]  # an estimate in plain values, or only its mean
Scores = dict[str, Number]


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """Clips before and after a system, mels (N, M, F) in dB, with the track of each clip.

    Attributes:
        clips: the clips before.
        audio_of: the clips whose own audio is the system's sound; None if a vocoder makes it.
    """

    clips: Sequence[Clip]
    real_db: Tensor
    fake_db: Tensor
    audio_of: Sequence[Clip] | None = None


class Direction:
    """What the scores of one direction need of a corpus.

    Attributes:
        clips, real_db: held-out clips of the source genre and their mels (N, M, F) in dB.
        pairs, source_db, truth_db: paired clips and the mels of both sides.
    """

    def __init__(self, scorer: "Scorer", source: str, target: str) -> None:
        corpus = scorer.corpus
        self.scorer, self.source, self.target = scorer, source, target
        self.clips = held_out_clips(corpus, source, HELD_OUT_CLIPS)
        self.pairs = held_out_pairs(corpus, source, target, HELD_OUT_CLIPS)
        if not self.pairs:
            raise UserError(
                f"{corpus.folder} has no paired clips of {source} and {target}; prepare demo songs"
            )
        self.real_db = _mels(corpus, self.clips)
        self.source_db, self.truth_db = (_mels(corpus, clips) for clips in zip(*self.pairs, strict=True))
        self.means_db = mean_spectrum(corpus, source), mean_spectrum(corpus, target)

    def score(self, system: Translate | None) -> Scores:
        """Score a system; None for the paired truth, which exists for the paired clips only."""
        fakes_db = self.truth_db if system is None else _translate(system, self.source_db)
        scores = self._paired_scores(fakes_db)
        if system is None:
            sources = [
                dataclasses.replace(clip, track=f"score {clip.score}", clip_id=truth.clip_id)
                for clip, truth in self.pairs
            ]
            clips = ClipSet(sources, self.source_db, fakes_db, [truth for _, truth in self.pairs])
        else:
            fake_db = _translate(system, self.real_db)
            audio_of = self.clips if torch.equal(fake_db, self.real_db) else None
            clips = ClipSet(self.clips, self.real_db, fake_db, audio_of)
        return (
            scores | self._clip_scores(clips) | self.scorer.distances(clips, self.target) | self._tag(clips)
        )

    def panels(self, models: Mapping[str, TranslationModel]) -> list[tuple[str, Tensor]]:
        """Name and return the mels (M, F) in dB of the middle pair.

        They are the source, the translation by each model that has this direction, the equaliser's, and the
        paired truth.

        Args:
            models: the models by name.
        """
        index = len(self.pairs) // 2
        source_db, truth_db = self.source_db[index], self.truth_db[index]
        systems = {
            name: partial(translate_normalised, model, self.scorer.corpus, self.target)
            for name, model in models.items()
            if self.target in model.targets
        }
        with torch.inference_mode():
            rows = [(name, translate(source_db)) for name, translate in systems.items()]
            equalised_db = self.scorer.equaliser(self)(source_db)
        return [(self.source, source_db), *rows, (EQUALISER, equalised_db), (TRUTH, truth_db)]

    @cached_property
    def equalised_db(self) -> Tensor:
        """Return the sources of the pairs through the equaliser."""
        return _translate(self.scorer.equaliser(self), self.source_db)

    def _paired_scores(self, fakes_db: Tensor) -> Scores:
        """Compare translations of the paired clips with the truth."""
        triples = list(zip(self.source_db, fakes_db, self.truth_db, strict=True))
        groups = [str(clip.score) for clip, _ in self.pairs]
        paired = score_pairs(triples, groups, self.means_db, self.scorer.corpus.mel)
        against = list(zip(self.equalised_db, fakes_db, self.truth_db, strict=True))  # in the source's place
        over_equaliser = score_pairs(against, groups, self.means_db, self.scorer.corpus.mel)
        movement = _movement(fakes_db) / _movement(self.truth_db)
        return {
            "paired_error_db": paired.error_db[MODEL].to_dict(),
            "paired_gain_db": paired.gain_db[MATCHED_MEAN].to_dict(),
            "rhythm_db": paired.rhythm_db[MODEL].to_dict(),
            "rhythm_gain_db": paired.rhythm_gain_db[MATCHED_MEAN].to_dict(),
            "rhythm_over_equaliser_db": over_equaliser.rhythm_gain_db[UNTOUCHED].to_dict(),
            "movement": {"mean": movement},
        }

    def _clip_scores(self, clips: ClipSet) -> Scores:
        """Compare clips with their input, and measure the checkerboard that is not in the input."""
        metrics = [metric for metric in METRICS if metric.name in KEPT]
        values = compute_metrics(metrics, MetricInput(clips.fake_db, self.scorer.corpus.mel, clips.real_db))
        out = {}
        for metric in metrics:
            value = mean_over_tracks(values[metric.name], clips.clips)
            out[metric.name] = {} if value is None else value.clamp(metric.low, metric.high).to_dict()
        added = checkerboard_db(clips.fake_db) - checkerboard_db(clips.real_db)
        tracks = [clip.track for clip in clips.clips]
        return out | {"checkerboard_added_db": estimate(added.tolist(), tracks).to_dict()}

    def _tag(self, clips: ClipSet) -> Scores:
        """Measure how far the independent tagger hears the clips move; empty without it."""
        tagger = self.scorer.tagger
        if tagger is None:
            return {}
        heard = self.scorer.listen(clips)
        share = tagger.axis(self.source, self.target).position(heard.embeddings)
        share_mean = mean_over_tracks(share.numpy(), clips.clips)
        reference = tagger.references[self.target].embeddings
        reference_tracks = [clip.track for clip in tagger.training[self.target]]
        tracks = [clip.track for clip in clips.clips]
        distances = distances_to(
            reference, reference_tracks, {MODEL: heard.embeddings}, tracks, {KAD: kernel_audio_distance}
        )
        return {
            "tagger_kad": distances[KAD][MODEL].to_dict(),
            "tagger_share": {} if share_mean is None else share_mean.to_dict(),
        }


class Scorer:
    """Scores systems on a corpus that no candidate was trained on.

    Args:
        corpus: the corpus, normalised as for the model.
        genres: genres A and B.
        with_tagger: whether the independent tagger also listens, which is slow.
    """

    def __init__(self, corpus: Corpus, genres: tuple[str, str], with_tagger: bool = False) -> None:
        self.corpus, self.genres, self.with_tagger = corpus, genres, with_tagger
        self.training = {
            genre: evenly_spaced(corpus.clips(genre, "train"), MAX_TRAINING_CLIPS) for genre in genres
        }
        training_db = {genre: _mels(corpus, clips) for genre, clips in self.training.items()}
        self.moments = {genre: BandMoments.of(mels_db) for genre, mels_db in training_db.items()}
        frame_s = corpus.mel.frame_s
        self.embed = PCAEmbedding(
            lambda mels_db: band_statistics(mels_db, frame_s).flatten(1), torch.cat([*training_db.values()])
        )
        self.references = {genre: self.embed(mels_db) for genre, mels_db in training_db.items()}
        self.directions = [Direction(self, *genres), Direction(self, *reversed(genres))]

    @cached_property
    def tagger(self) -> GenreTagger | None:
        """The independent tagger with what it hears in training clips, at most 150 of each genre."""
        if not self.with_tagger:
            return None
        clips = {genre: evenly_spaced(of_genre, HELD_OUT_CLIPS) for genre, of_genre in self.training.items()}
        return GenreTagger.listen(load_tagger(), self.corpus, clips)

    @torch.inference_mode()
    def score(self, system: Callable[[Direction], Translate | None]) -> dict[str, Scores]:
        """Score a system in every direction.

        Args:
            system: returns what translates a mel in a direction; None for the paired truth.
        """
        return {f"{one.source} to {one.target}": one.score(system(one)) for one in self.directions}

    def score_model(self, model: TranslationModel) -> dict[str, Scores]:
        """Score a model in the directions that it has."""
        has = [one for one in self.directions if one.target in model.targets]
        with torch.inference_mode():
            return {
                f"{one.source} to {one.target}": one.score(
                    partial(translate_normalised, model, self.corpus, one.target)
                )
                for one in has
            }

    def equaliser(self, direction: Direction) -> Translate:
        """Return what matches mean and spread of each band."""
        moments = self.moments[direction.source], self.moments[direction.target]
        return lambda mel_db: match_moments(mel_db[None], *moments)[0]

    def baseline(self, name: str) -> dict[str, Scores]:
        """Score one of `BASELINES`."""
        systems: Mapping[str, Callable[[Direction], Translate | None]] = {
            UNTOUCHED: lambda direction: lambda mel_db: mel_db,
            EQUALISER: self.equaliser,
            TRUTH: lambda direction: None,
        }
        return self.score(systems[name])

    def distances(self, clips: ClipSet, target: str) -> Scores:
        """Measure the distances of translations to the target's training clips by band statistics."""
        reference_tracks = [clip.track for clip in self.training[target]]
        kinds = {KERNEL: kernel_distance, KAD: kernel_audio_distance}
        tracks = [clip.track for clip in clips.clips]
        candidates = {MODEL: self.embed(clips.fake_db)}
        by_kind = distances_to(self.references[target], reference_tracks, candidates, tracks, kinds)
        return {"kernel_distance": by_kind[KERNEL][MODEL].to_dict(), "kad": by_kind[KAD][MODEL].to_dict()}

    def listen(self, clips: ClipSet) -> TaggedSounds:
        """Tag the sound of clips: original audio, or their mels after the default vocoder."""
        assert self.tagger is not None
        vocoder, mel, parts = make_vocoder(DEFAULT), self.corpus.mel, []
        for start in range(0, len(clips.clips), BLOCK):
            rows = slice(start, start + BLOCK)
            sounds = [self.corpus.audio(clip)[None] for clip in (clips.audio_of or clips.clips)[rows]]
            if clips.audio_of is None:
                mels = zip(clips.fake_db[rows], clips.real_db[rows], strict=True)
                inputs = [
                    VocoderInput(fake_db[None], mel, sound.shape[1], sound, real_db[None])
                    for (fake_db, real_db), sound in zip(mels, sounds, strict=True)
                ]
                sounds = parallel_map([partial(vocoder, one) for one in inputs])
            parts.append(self.tagger.tag(sounds))
        return TaggedSounds.join(parts)


def load_for(run: str | Path, corpus: str | Path) -> tuple[TranslationModel, Corpus, Path]:
    """Load a model, and a corpus normalised as it was trained.

    Raises:
        UserError: there is no such run or corpus, they do not fit, or the run was trained on clips of it.
    """
    path = resolve_run(run)
    model = load_model(run)
    opened, n_trained = exclude_training_clips(open_corpus(model, corpus, path), model.training_intervals)
    if n_trained:
        raise UserError(f"{run} was trained on {n_trained} held-out clips of {corpus}; name another corpus")
    return model, opened, path


def score_published(run: str | Path, corpus: str | Path, out: Path) -> dict[str, dict[str, Scores]]:
    """Evaluate a model on a corpus without pairs by `evaluate`, and read its report.

    Args:
        run: path or name of the model.
        corpus: folder of the corpus, such as that of the published spectrograms.
        out: folder of the report.

    Returns:
        Scores by system (`MODEL`, and baselines) and direction.
    """
    evaluate(run, corpus=corpus, out=out)
    report = json.loads((out / JSON_FILE).read_text())["metrics"]
    directions = {name: numbers for name, numbers in report.items() if " to " in name}
    systems = {MODEL: MODEL} | PUBLISHED_ROWS
    return {
        row: {name: _reported(numbers, key) for name, numbers in directions.items()}
        for key, row in systems.items()
    }


def _reported(numbers: Mapping[str, Any], system: str) -> Scores:
    """Return the scores of a system in one direction of a report."""
    metrics, distances = numbers["metrics"], numbers["distances"].get("band statistics", {})
    out = {name: metrics[name][system] for name in PUBLISHED if system in metrics.get(name, {})}
    if CLASSIFIER in out:
        rate = metrics[CLASSIFIER]["real_target"]["mean"]
        out["classifier_of_real"] = {"mean": out[CLASSIFIER]["mean"] / rate if rate else None}
    if "checkerboard_db" in out:
        added = out["checkerboard_db"]["mean"] - metrics["checkerboard_db"][UNTOUCHED]["mean"]
        out["checkerboard_added_db"] = {"mean": added}
    if system in distances.get(KERNEL, {}):
        out["kernel_distance"] = distances[KERNEL][system]
    return out


def _mels(corpus: Corpus, clips: Sequence[Clip]) -> Tensor:
    return torch.stack([corpus.mel_db(clip) for clip in clips])


def _translate(system: Translate, mels_db: Tensor) -> Tensor:
    return torch.stack([system(mel_db) for mel_db in mels_db])


def _movement(mels_db: Tensor) -> float:
    """Return the mean |difference| of neighbouring frames of (N, M, F) in dB."""
    return float(mels_db.diff(dim=2).abs().mean())
