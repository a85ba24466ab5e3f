"""Callback that logs what an independent tagger hears in translations; it judges them and nothing else."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import Clip, Corpus, evenly_spaced
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.metrics.tagger import TAGS, GenreAxis, TaggedSounds, load_tagger
from cyclegan_audio.models.directions import source_and_target
from cyclegan_audio.models.eval_mode import eval_mode
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.training.loggers import TableCell, media_loggers
from cyclegan_audio.utils.devices import parallel_map
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.vocoders import Vocoder, VocoderInput, check_vocoder

GROUP = "tagger"  # of the logged numbers
TAG_COLUMNS = ("tag", "before", "after", "target genre")


@dataclasses.dataclass(frozen=True)
class RealClips:
    """What the tagger hears in real clips of a genre.

    Attributes:
        training: training clips, whose mean is the position of the genre.
        clips: the validation clips to translate.
        untouched: these clips before the translation.
    """

    training: TaggedSounds
    clips: list[Clip]
    untouched: TaggedSounds


class TaggerLog(pl.Callback):
    """Log how far translations are on the way to the target genre, by a tagger that others trained.

    The tagger hears the sounds after the vocoder. For each direction, such as `ab`, W&B and TensorBoard get

    * `tagger/share_ab`: mean position of the translations, from 0 (source genre) to 1 (target genre);
    * `tagger/untouched_ab`: mean position of the same clips before the translation;
    * `tagger/tag_NAME_ab`: mean probability of each of the tags that differ most between the genres;
    * `tagger/tags_ab`: a table of these tags before and after the translation, and in the target genre.

    Training never uses these numbers: no table, checkpoint or metric of the trainer gets them, and random
    numbers stay as they are. Without W&B or TensorBoard nothing is computed. If the tagger cannot run, one
    line gives the reason, and training goes on.

    Args:
        vocoder: makes the sounds from the mels and the clips' audio.
        every_epochs: interval in epochs; the last epoch is always logged.
        clips: number of validation clips of each genre, evenly spaced.
        training_clips: number of training clips of each genre, evenly spaced.
        tags: number of tags.
    """

    def __init__(
        self, vocoder: Vocoder, every_epochs: int = 5, clips: int = 8, training_clips: int = 16, tags: int = 3
    ) -> None:
        check_vocoder("callbacks.tagger.vocoder", vocoder)
        counts = {"every_epochs": every_epochs, "clips": clips, "training_clips": training_clips}
        for name, value in counts.items():
            check_number(f"callbacks.tagger.{name}", value, low=1, integer=True)
        check_number("callbacks.tagger.tags", tags, low=0, high=len(TAGS), integer=True)
        self.vocoder, self.every_epochs = vocoder, every_epochs
        self.n_clips, self.n_training_clips, self.n_tags = clips, training_clips, tags
        self.genres: tuple[RealClips, RealClips] | None = None  # A and B; None: the tagger is off

    def on_train_start(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        self.genres = None
        if trainer.is_global_zero and media_loggers(trainer):
            data = trainer.datamodule  # type: ignore[attr-defined]
            with self._judging():
                a, b = zip(data.clips("train"), data.clips("val"), strict=True)
                self.genres = self._hear(data.corpus, *a), self._hear(data.corpus, *b)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: TranslationModule) -> None:  # type: ignore[override]
        done = trainer.current_epoch + 1
        is_last = trainer.should_stop or done == trainer.max_epochs
        if self.genres is not None and (is_last or done % self.every_epochs == 0):
            with self._judging():
                for direction in pl_module.directions:
                    self._log(trainer, pl_module, *source_and_target(self.genres, direction), direction)

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Keep torch's random numbers as they are; an error of the user turns the tagger off with a line."""
        try:
            with torch.random.fork_rng():
                yield
        except UserError as error:
            self.genres = None
            rank_zero_print(f"training goes on without the independent tagger: {error}")

    def _hear(self, corpus: Corpus, training: Sequence[Clip], validation: Sequence[Clip]) -> RealClips:
        """Tag real clips of a genre.

        Raises:
            UserError: the tagger is not installed, or a clip has no audio.
        """
        tagger = load_tagger()  # on the CPU, so that it needs no memory of a GPU
        references = evenly_spaced(training, self.n_training_clips)
        clips = evenly_spaced(validation, self.n_clips)
        sounds = [corpus.audio(clip) for clip in (*references, *clips)]
        heard = tagger(sounds, corpus.mel.sample_rate, corpus.normalisation.cutoff_hz)
        return RealClips(heard[: len(references)], clips, heard[len(references) :])

    def _log(
        self,
        trainer: pl.Trainer,
        module: TranslationModule,
        source: RealClips,
        target: RealClips,
        direction: str,
    ) -> None:
        """Translate the clips of `source`, tag them, and log what the tagger hears."""
        corpus = trainer.datamodule.corpus  # type: ignore[attr-defined]
        with eval_mode(module):
            sounds = self._translate(module.inference_generator(direction), corpus, source.clips)
        heard = load_tagger()(sounds, corpus.mel.sample_rate, corpus.normalisation.cutoff_hz)
        axis = GenreAxis.between(source.training.embeddings, target.training.embeddings)
        tags = compare_tags(source, heard, target, self.n_tags)
        numbers = {
            f"share_{direction}": float(axis.position(heard.embeddings).mean()),
            f"untouched_{direction}": float(axis.position(source.untouched.embeddings).mean()),
            **{f"tag_{slug(tag)}_{direction}": after for tag, _, after, _ in tags},
        }
        rows: list[dict[str, TableCell]] = [dict(zip(TAG_COLUMNS, tag, strict=True)) for tag in tags]
        for logger in media_loggers(trainer):
            logger.log_metrics({f"{GROUP}/{name}": value for name, value in numbers.items()}, module.batches)
            if rows:
                logger.add_table(f"{GROUP}/tags_{direction}", rows, module.batches)

    def _translate(self, generator: nn.Module, corpus: Corpus, clips: Sequence[Clip]) -> list[Tensor]:
        """Return the translations of clips as waveforms (1, T)."""
        inputs = []
        for clip in clips:
            real_db, sound = corpus.mel_db(clip), corpus.audio(clip)[None]
            fake_db = translate_mel_db(generator, real_db, corpus.mel, corpus.mel.range_db(real_db))
            inputs.append(VocoderInput(fake_db[None], corpus.mel, sound.shape[1], sound, real_db[None]))
        return parallel_map(partial(self.vocoder, vocoder_input) for vocoder_input in inputs)


def compare_tags(
    source: RealClips, translated: TaggedSounds, target: RealClips, count: int
) -> list[tuple[str, float, float, float]]:
    """List the tags that differ most between the training clips of two genres, the largest difference first.

    Returns:
        For each tag its name and its mean probability in the clips before and after the translation, and in
        training clips of the target genre (`TAG_COLUMNS`).
    """
    goal = target.training.tags.mean(0)
    chosen = (goal - source.training.tags.mean(0)).abs().topk(count).indices
    means = (source.untouched.tags.mean(0), translated.tags.mean(0), goal)
    columns = [values[chosen].tolist() for values in means]
    return [(TAGS[n], *row) for n, *row in zip(chosen.tolist(), *columns, strict=True)]
