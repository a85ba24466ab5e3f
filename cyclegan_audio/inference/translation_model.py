"""A trained model for inference (`TranslationModel`), and the metadata stored beside its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.inference.pair_card import Card
from cyclegan_audio.models.directions import DIRECTIONS, source_and_target
from cyclegan_audio.utils.devices import device_of
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import match_name

METADATA_FORMAT = 2
METADATA_FILE = "model.json"  # in exported files
PAIR_FILE = "pair.json"  # in the folder of a pair that ships or is shared


@dataclass
class TranslationModel:
    """Two genres, the generators between them, and the settings to use them.

    Attributes:
        genres: names of A and B.
        mel: the mel-spectrogram of the generators' inputs and outputs.
        generators: one or both, by direction of `DIRECTIONS`; (B, 1, M, F) in [-1, 1] to the same shape; in
            eval mode.
        window_frames: frames of a training clip.
        config: the plain configuration of the run.
        batches: training batches of the run.
        training_intervals: the times of the training clips (`corpus.leakage`); empty if unknown.
        loss_terms: the term of each loss in the run's losses.csv; empty if unknown.
        normalisation: targets to which mels are normalised before the generators (`corpus.normalisation`).
        card: what people should know of the pair.
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
    card: Card = field(default_factory=Card)

    @property
    def frame_multiple(self) -> int:
        """Return the number of which the generators' frames must be a multiple."""
        return int(self._first_generator.frame_multiple)  # type: ignore[arg-type]

    @property
    def device(self) -> torch.device:
        """Return the generators' device."""
        return device_of(self._first_generator)

    @property
    def targets(self) -> list[str]:
        """Return the genres that it translates to: B, then A, if there are generators."""
        directions = [direction for direction in DIRECTIONS if direction in self.generators]
        return [source_and_target(self.genres, direction)[1] for direction in directions]

    def genre(self, name: str) -> str:
        """Return the model's spelling of a genre.

        Raises:
            UserError: the model does not have that genre.
        """
        return match_name(name, self.genres, "genre", "in this model")

    def adopt_spelling(self, genres: tuple[str, str]) -> bool:
        """Use the given spelling of the genres; return False, and change nothing, if they are others."""
        is_same = [genre.casefold() for genre in self.genres] == [genre.casefold() for genre in genres]
        if is_same:
            self.genres = genres
        return is_same

    def generator(self, to: str) -> nn.Module:
        """Return the generator that translates to genre `to`.

        Raises:
            UserError: the model does not have that genre, or no generator to it.
        """
        direction = self.direction(to)
        if direction not in self.generators:
            raise UserError(
                f"the model translates from {self.genre(to)} to {self.targets[0]} only; "
                f"use one that was trained or exported toward {self.genre(to)}"
            )
        return self.generators[direction]

    def direction(self, to: str) -> str:
        """Return the direction toward genre `to`.

        Raises:
            UserError: the model does not have that genre.
        """
        return DIRECTIONS[0] if self.genre(to) == self.genres[1] else DIRECTIONS[1]

    @property
    def _first_generator(self) -> nn.Module:
        return next(iter(self.generators.values()))


def weights_file(direction: str) -> str:
    """Return the name of a generator's file in the folder of a pair."""
    return f"gen_{direction}.safetensors"


def make_metadata(
    genres: tuple[str, str],
    mel: MelSpectrogram,
    window_frames: int,
    config: Mapping[str, Any],
    training_intervals: Mapping[str, Any],
    directions: Sequence[str] = DIRECTIONS,
) -> dict[str, Any]:
    """Describe a model in plain values, so that its weights can be used without the run.

    Args:
        genres: names of A and B.
        mel: the mel-spectrogram of its generators.
        window_frames: frames of a training clip.
        config: the configuration of the run.
        training_intervals: the times of the training clips.
        directions: directions of its generators.
    """
    return {
        "format": METADATA_FORMAT,
        "genres": list(genres),
        "directions": list(directions),
        "mel": mel.to_dict(),
        "window_frames": window_frames,
        "config": dict(config),
        "training_intervals": dict(training_intervals),
    }
