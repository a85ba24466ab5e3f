"""Sound of held-out clips: its metrics, what the independent tagger hears, and its mels."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

import torch
from torch import Tensor

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.metrics.metric_spec import (
    MATCHED_MOMENTS,
    MODEL,
    REAL_TARGET,
    UNTOUCHED,
    VOCODED_SOURCE,
    MetricInput,
    MetricSpec,
    Scores,
    compute_metrics,
    join_scores,
)
from cyclegan_audio.metrics.tagger import GenreAxis, MusicTagger, TaggedSounds
from cyclegan_audio.utils.devices import parallel_map
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.vocoders import Vocoder, VocoderInput

Judged = tuple[Scores, Tensor, TaggedSounds | None]  # scores, mels and tags of some sounds
BLOCK = 16  # clips at once: bounds memory
NO_SOUND = "Metrics of the sound (vocoder, clicks, independent tagger) are missing: {}."
NO_TAGGER = "There is no independent tagger: {}."
NO_ROUND_TRIP = (
    "The vocoder round trip from the mel alone is missing: the vocoder needs a source; hybrid and "
    "griffin_lim do not."
)


@dataclasses.dataclass(frozen=True)
class GenreTagger:
    """The independent tagger, and what it hears in the training clips of both genres.

    Attributes:
        tagger: the tagger.
        corpus: the corpus; if it normalises the bandwidth, the tagger hears nothing above.
        training: genre to some of its training clips.
        references: genre to these clips as the tagger hears them.
    """

    tagger: MusicTagger
    corpus: Corpus
    training: Mapping[str, Sequence[Clip]]
    references: Mapping[str, TaggedSounds]

    @classmethod
    def listen(
        cls, tagger: MusicTagger, corpus: Corpus, training: Mapping[str, Sequence[Clip]]
    ) -> "GenreTagger":
        """Tag training clips of each genre.

        Raises:
            UserError: the corpus keeps no audio.
        """
        n_clips = sum(len(clips) for clips in training.values())
        with progress_bar("independent tagger, training clips", n_clips, "clips") as bar:
            tag_clips = partial(_tag_clips, tagger, corpus, on_clips=bar.advance)
            return cls(tagger, corpus, training, {genre: tag_clips(c) for genre, c in training.items()})

    def tag(self, waveforms: Sequence[Tensor]) -> TaggedSounds:
        """Tag sounds (1, T) at the sample rate of the corpus."""
        return _tag(self.tagger, self.corpus, waveforms)

    def axis(self, source: str, target: str) -> GenreAxis:
        """Return the axis from one genre to the other."""
        return GenreAxis.between(self.references[source].embeddings, self.references[target].embeddings)


def _tag(tagger: MusicTagger, corpus: Corpus, waveforms: Sequence[Tensor]) -> TaggedSounds:
    return tagger(waveforms, corpus.mel.sample_rate, corpus.normalisation.cutoff_hz)


def _tag_clips(
    tagger: MusicTagger, corpus: Corpus, clips: Sequence[Clip], on_clips: Callable[[float], None]
) -> TaggedSounds:
    parts = []
    for block in _blocks(clips):
        parts.append(_tag(tagger, corpus, [corpus.audio(clip) for clip in block]))
        on_clips(len(block))
    return TaggedSounds.join(parts)


def _blocks(clips: Sequence[Clip]) -> Iterator[Sequence[Clip]]:
    return (clips[start : start + BLOCK] for start in range(0, len(clips), BLOCK))


@dataclasses.dataclass(frozen=True)
class SoundScores:
    """What was measured on the sound of clips.

    Attributes:
        scores: candidate to metric to (N,) values, of the metrics that use waveforms.
        mels_db: candidate to the mels (N, M, F) of its sound in dB.
        tagged: candidate to what the tagger hears; empty without a tagger.
        missing: sentences that say what is missing and why.
    """

    scores: dict[str, Scores] = dataclasses.field(default_factory=dict)
    mels_db: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    tagged: dict[str, TaggedSounds] = dataclasses.field(default_factory=dict)
    missing: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class SoundJudge:
    """Measures the sound of clips: original audio, and mels after the vocoder.

    Attributes:
        corpus: the corpus with the audio of the clips.
        vocoder: turns mels into audio.
        metrics: the metrics to compute.
        tagger: the independent tagger, or the reason why there is none.
    """

    corpus: Corpus
    vocoder: Vocoder
    metrics: Sequence[MetricSpec]
    tagger: GenreTagger | str

    @torch.inference_mode()
    def score(
        self,
        genres: tuple[str, str],
        clips: Sequence[Clip],
        mels_db: Mapping[str, Tensor],
        target_clips: Sequence[Clip],
    ) -> SoundScores:
        """Measure all candidates of one direction.

        The sound of `MODEL` and `MATCHED_MOMENTS` is their mel after the vocoder, which also gets the source;
        that of `VOCODED_SOURCE` is the mel of the source alone after the vocoder; `UNTOUCHED` and
        `REAL_TARGET` are original audio.

        Args:
            genres: source and target.
            clips: N source clips.
            mels_db: `UNTOUCHED`, `MODEL` and `MATCHED_MOMENTS` to mels (N, M, F) in dB.
            target_clips: clips of the target genre.
        """
        axis = None if isinstance(self.tagger, str) else self.tagger.axis(*genres)
        parts: dict[str, list[Judged]] = {}
        label, n_clips = f"listening, {' to '.join(genres)}", len(clips) + len(target_clips)
        try:
            with progress_bar(label, n_clips, "clips") as bar:
                for block in self._blocks(clips, mels_db, target_clips):
                    for name, sounds in block.items():
                        parts.setdefault(name, []).append(self._judge(sounds, axis))
                    bar.advance(len(next(iter(block.values())).mels_db))
        except UserError as error:
            return SoundScores(missing=[NO_SOUND.format(error)])
        joined = {name: tuple(zip(*of_name, strict=True)) for name, of_name in parts.items()}
        return SoundScores(
            {name: join_scores(scores) for name, (scores, _, _) in joined.items()},
            {name: torch.cat(mels) for name, (_, mels, _) in joined.items()},
            {name: TaggedSounds.join(tagged) for name, (_, _, tagged) in joined.items() if axis},
            self._missing() + ([] if VOCODED_SOURCE in joined else [NO_ROUND_TRIP]),
        )

    def _missing(self) -> list[str]:
        return [NO_TAGGER.format(self.tagger)] if isinstance(self.tagger, str) else []

    def _blocks(
        self, clips: Sequence[Clip], mels_db: Mapping[str, Tensor], target_clips: Sequence[Clip]
    ) -> Iterator[dict[str, MetricInput]]:
        """Yield the sounds of some clips at a time by candidate."""
        for start in range(0, len(clips), BLOCK):
            rows = slice(start, start + BLOCK)
            yield self._render(clips[rows], {name: mels[rows] for name, mels in mels_db.items()})
        for block in _blocks(target_clips):
            waveforms = self._audio(block)
            yield {REAL_TARGET: MetricInput(self._mels(waveforms), self.corpus.mel, waveforms=waveforms)}

    def _render(self, clips: Sequence[Clip], mels_db: Mapping[str, Tensor]) -> dict[str, MetricInput]:
        """Return the sounds of clips by candidate."""
        waveforms, source_db, mel = self._audio(clips), mels_db[UNTOUCHED], self.corpus.mel

        def vocode(target_db: Tensor, with_source: bool = True) -> MetricInput:
            calls = []
            for one, sound, of_source in zip(target_db, waveforms, source_db, strict=True):
                source = (sound, of_source[None]) if with_source else ()
                calls.append(partial(self.vocoder, VocoderInput(one[None], mel, sound.shape[1], *source)))
            vocoded = parallel_map(calls)
            return MetricInput(self._mels(vocoded), mel, source_db, waveforms=vocoded, intended_db=target_db)

        sounds = {UNTOUCHED: MetricInput(source_db, mel, source_db, waveforms=waveforms)}
        sounds |= {name: vocode(mels_db[name]) for name in (MODEL, MATCHED_MOMENTS)}
        with suppress(ValueError):  # the vocoder needs a source
            sounds[VOCODED_SOURCE] = vocode(source_db, with_source=False)
        return sounds

    def _judge(self, sounds: MetricInput, axis: GenreAxis | None) -> Judged:
        tagged = None if isinstance(self.tagger, str) else self.tagger.tag(sounds.waveforms or ())
        scores = compute_metrics(self.metrics, dataclasses.replace(sounds, tagged=tagged, axis=axis))
        return scores, sounds.mels_db, tagged

    def _audio(self, clips: Sequence[Clip]) -> list[Tensor]:
        return [self.corpus.audio(clip)[None] for clip in clips]

    def _mels(self, waveforms: Sequence[Tensor]) -> Tensor:
        mel, normalisation = self.corpus.mel, self.corpus.normalisation
        return torch.cat([normalisation.apply(mel.mel_db(sound), mel) for sound in waveforms])
