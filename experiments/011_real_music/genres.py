"""Recordings by genre, what the tagger hears in them, and the equaliser between two genres."""

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.io import decode, find_audio
from cyclegan_audio.audio.loudness import LoudnessMeter
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import resample
from cyclegan_audio.demo import GENRES as DEMO_GENRES
from cyclegan_audio.demo import DemoSettings, make_demo_songs
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.baselines import BandMoments, match_moments
from cyclegan_audio.metrics.tagger import GenreAxis, MusicTagger, TaggedSounds
from cyclegan_audio.translation.stages import is_audible
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import with_progress

DEMO_SEED = 1011  # no model was trained on these songs
DEMO_SONGS = 12
DEMO_SECONDS = 24.0


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording: name of its file, genre, sound (C, T), sample rate in Hz, and what the tagger hears."""

    name: str
    genre: str
    sound: Tensor
    rate: int
    tagged: TaggedSounds

    @cached_property
    def lufs(self) -> float:
        return loudness(self.sound, self.rate)

    def mel_db(self, mel: MelSpectrogram) -> Tensor:
        """Return the mel (M, F) in dB of the mean of the channels."""
        return mid_mel_db(self.sound, self.rate, mel)


def mid_mel_db(sound: Tensor, rate: int, mel: MelSpectrogram) -> Tensor:
    """Return the mel (M, F) in dB of the mean of the channels of a sound (C, T)."""
    return mel.mel_db(resample(sound.mean(0, keepdim=True), rate, mel.sample_rate))[0]


def loudness(sound: Tensor, rate: int) -> float:
    """Return the integrated loudness of a sound (C, T) in LUFS."""
    meter = LoudnessMeter(rate)
    meter.push(sound)
    return meter.lufs_or_ungated()


def load_recordings(folder: Path, seconds: float, tagger: MusicTagger) -> dict[str, list[Recording]]:
    """Load the start of each recording; the subfolders of `folder` are the genres.

    Raises:
        UserError: a genre has fewer than two recordings, or there is no genre.
    """
    folders = sorted(folder.iterdir()) if folder.is_dir() else []
    files = {path.name: find_audio(path) for path in folders if path.is_dir()}
    if few := [name for name, paths in files.items() if len(paths) < 2]:
        raise UserError(f"{folder / few[0]} has fewer than two recordings; add some, or remove the folder")
    if not files:
        raise UserError(f"{folder} has no folders; give a folder with one of recordings for each genre")
    loaded: dict[str, list[Recording]] = {genre: [] for genre in files}
    pairs = [(genre, path) for genre, paths in files.items() for path in paths]
    for genre, path in with_progress(pairs, "tagging recordings", len(pairs), "recordings"):
        sound, rate = decode(path)
        sound = sound[:, : round(seconds * rate)]
        loaded[genre].append(Recording(path.name, genre, sound, rate, tagger([sound], rate)))
    return loaded


def load_demo_songs(tagger: MusicTagger) -> dict[str, list[Recording]]:
    """Make demo songs that no model was trained on, in a folder that is deleted."""
    settings = DemoSettings(DEMO_SEED, DEMO_SONGS, 0, DEMO_SECONDS, DEMO_GENRES)
    with tempfile.TemporaryDirectory() as folder:
        make_demo_songs(Path(folder), settings, workers=1)
        return load_recordings(Path(folder), DEMO_SECONDS, tagger)


def embeddings(recordings: Sequence[Recording], without: Recording | None = None) -> Tensor:
    """Return the embeddings (N, D) of recordings, one of them left out."""
    return torch.cat([x.tagged.embeddings for x in recordings if x is not without])


@dataclass(frozen=True)
class Direction:
    """A model's translation to a genre, with all recordings of other genres.

    Attributes:
        model: the model.
        to: the target genre.
        real: the recordings by genre.
        demo: the demo songs by genre; used where there are no recordings of the target genre.
    """

    model: TranslationModel
    to: str
    real: dict[str, list[Recording]]
    demo: dict[str, list[Recording]]

    @cached_property
    def sources(self) -> list[Recording]:
        """The recordings to translate."""
        return [x for genre, of_genre in self.real.items() if genre != self.to for x in of_genre]

    @property
    def is_real(self) -> bool:
        """Whether there are recordings of the target genre."""
        return self.to in self.real

    @property
    def targets(self) -> list[Recording]:
        """The recordings of the target genre, or demo songs.

        Raises:
            UserError: there are neither.
        """
        if not self.is_real and self.to not in self.demo:
            raise UserError(f"there are no recordings of {self.to}; add a folder {self.to} with some")
        return self.real[self.to] if self.is_real else self.demo[self.to]

    @property
    def other(self) -> str:
        """The model's other genre."""
        return next(genre for genre in self.model.genres if genre != self.to)

    def axis(self, genre: str, without: Recording | None = None) -> GenreAxis:
        """Return the axis from a genre of recordings, one of them left out.

        Without recordings of the target genre it leads between the demo songs of the model's two genres.
        """
        origin = self.real[genre] if self.is_real else self.demo[self.other]
        return GenreAxis.between(embeddings(origin), embeddings(self.targets, without))

    def locate(self, genre: str, tagged: TaggedSounds, without: Recording | None = None) -> dict[str, float]:
        """Locate a sound on the axis from a genre.

        Args:
            genre: where the axis begins.
            tagged: the sound.
            without: a recording that the axis does not know.

        Returns:
            `position` along the axis, and `distance` from the target genre's mean in lengths of the axis.
        """
        axis = self.axis(genre, without)
        distance = (tagged.embeddings[0] - axis.origin - axis.step).norm() / axis.step.norm()
        return {"position": float(axis.position(tagged.embeddings)), "distance": float(distance)}

    def equaliser(self, recording: Recording) -> TranslationModel:
        """Return a model that matches the moments of each band, whose source genre is that of a recording."""
        mel = dataclasses.replace(self.model.mel, scaling="fixed")
        source = [x for x in self.real[recording.genre] if x is not recording]
        network = Equaliser(moments(source, mel), moments(self.targets, mel), recording.lufs, mel)
        genres = (self.other, self.to)
        return TranslationModel(genres, mel, {"ab": network}, self.model.window_frames, {})


def moments(recordings: Sequence[Recording], mel: MelSpectrogram) -> BandMoments:
    """Compute the moments of recordings at 0 LUFS, without frames of digital silence."""
    frames = []
    for recording in recordings:
        mel_db = recording.mel_db(mel)
        frames.append(mel_db[:, is_audible(mel_db, mel.floor_db)] - recording.lufs)
    return BandMoments.of(torch.cat(frames, 1)[None])


class Equaliser(nn.Module):
    """Change mean and spread of each band between two genres, in the place of a generator.

    Args:
        source, target: moments at 0 LUFS.
        lufs: loudness of the recording.
        mel: the definition of the mels, with fixed scaling.
    """

    frame_multiple = 1

    def __init__(self, source: BandMoments, target: BandMoments, lufs: float, mel: MelSpectrogram) -> None:
        super().__init__()
        self.source, self.target, self.lufs, self.mel = source, target, lufs, mel

    def forward(self, mels: Tensor) -> Tensor:
        mels_db = self.mel.denormalise(mels[:, 0]) - self.lufs
        changed_db = match_moments(mels_db, self.source, self.target) + self.lufs
        return self.mel.normalise(changed_db)[:, None]
