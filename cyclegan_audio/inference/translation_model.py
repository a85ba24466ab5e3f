"""A trained model as it is used: the generators that there are, and what they take and give."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.models.directions import DIRECTIONS, ordered
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import match_name


@dataclass
class TranslationModel:
    """Two genres, the generators between them, and all that is needed to use these.

    Attributes:
        genres: names of A and B.
        mel: the settings of the mels that the generators take and give.
        generators: by direction, of `DIRECTIONS` both or one; (B, 1, M, F) in [-1, 1] to the same; in eval
            mode.
        window_frames: frames of a training clip.
        config: the plain configuration of the run.
        batches: training batches seen.
        training_intervals: the music of the training clips (`corpus.leakage`); empty where not known.
        loss_terms: the term of each loss in the run's losses.csv; empty where not known.
        normalisation: what mels are brought to before the generators see them (`corpus.normalisation`).
    """

    genres: tuple[str, str]
    mel: MelSpectrogram
    generators: dict[str, nn.Module]
    window_frames: int
    config: dict[str, Any]
    batches: int = 0
    training_intervals: dict[str, list[list[float]]] = field(default_factory=dict)
    normalisation: dict[str, float] = field(default_factory=dict)
    loss_terms: dict[str, str] = field(default_factory=dict)

    @property
    def frame_multiple(self) -> int:
        """The generators take a multiple of this many frames."""
        return int(self._any.frame_multiple)  # type: ignore[arg-type]

    @property
    def device(self) -> torch.device:
        """Where the generators are."""
        return next(self._any.parameters()).device

    @property
    def targets(self) -> list[str]:
        """The genres that it translates to: B, then A, as far as there are generators."""
        there = [direction for direction in DIRECTIONS if direction in self.generators]
        return [ordered(self.genres, direction)[1] for direction in there]

    def genre(self, name: str) -> str:
        """Return the pair's own spelling of a genre.

        Raises:
            UserError: the pair does not have that genre.
        """
        return match_name(name, self.genres, "genre", "in this model")

    def respell(self, genres: tuple[str, str]) -> bool:
        """Take on this spelling of the pair's genres; returns False, and does nothing, if they are others."""
        is_same = [genre.casefold() for genre in self.genres] == [genre.casefold() for genre in genres]
        if is_same:
            self.genres = genres
        return is_same

    def generator(self, to: str) -> nn.Module:
        """The generator that translates to genre `to`.

        Raises:
            UserError: the pair does not have that genre, or no way to it.
        """
        direction = self.direction(to)
        if direction not in self.generators:
            raise UserError(
                f"the model translates from {self.genre(to)} to {self.targets[0]} only; "
                f"use one that was trained or exported toward {self.genre(to)}"
            )
        return self.generators[direction]

    def direction(self, to: str) -> str:
        """The direction toward genre `to`.

        Raises:
            UserError: the pair does not have that genre.
        """
        return DIRECTIONS[0] if self.genre(to) == self.genres[1] else DIRECTIONS[1]

    @property
    def _any(self) -> nn.Module:
        return next(iter(self.generators.values()))
