"""One source file to its arrays and its record: decode, cut, screen, mel."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio import files
from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import slug
from cyclegan_audio.data.corpus import FORMAT_VERSION, INT16_SCALE
from cyclegan_audio.data.screening import ScreeningRules, level_db
from cyclegan_audio.data.sources import MelFile, SourceFile
from cyclegan_audio.errors import UserError

# UserError for what is known to be wrong with a file; the others are FFmpeg's for rarer damage.
_UNREADABLE = (UserError, LookupError, EOFError, RuntimeError)
SHORT = "shorter than a clip"


@dataclasses.dataclass(frozen=True)
class TrackRecord:
    """What is known of a source file, as kept in `tracks/<array>.json`.

    Attributes:
        array: file name, without suffix, of its arrays; follows from genre, source, content and settings.
        content: SHA-256 of the file's bytes, "" where they cannot be read.
        duration_s: length of the whole file, 0 where it cannot be read.
        reason: why the file gives no clip at all, or "".
        clips: a dict a clip with start_s, reason ("" where kept), index, level_db, min_db, max_db.
    """

    array: str
    genre: str
    source: str
    score: str | None
    content: str
    duration_s: float
    reason: str
    clips: list[dict[str, Any]]

    @property
    def has_arrays(self) -> bool:
        """Whether any clip is kept."""
        return any(not clip["reason"] for clip in self.clips)


@dataclasses.dataclass(frozen=True)
class TrackMaker:
    """Makes the arrays and the record of source files in a corpus folder, in any order."""

    folder: Path
    mel: MelSettings
    clip_s: float
    rules: ScreeningRules

    def make(self, file: SourceFile, with_audio: bool) -> TrackRecord:
        """The record of `file`, read from the corpus where it is done already.

        Raises:
            OSError: the corpus cannot be written.
        """
        try:
            content = file.digest()
        except OSError as error:
            return self._dropped(file, "", f"cannot be read ({error.strerror})")
        path = self.folder / "tracks" / f"{self._array(file, content)}.json"
        if path.is_file():
            record = TrackRecord(**json.loads(path.read_text(encoding="utf-8")))
            if self._is_whole(record, with_audio and not isinstance(file, MelFile)):
                return record
        if isinstance(file, MelFile):
            record = self._take_mels(file, content)
        else:
            record = self._process(file, content, with_audio)
        text = json.dumps(dataclasses.asdict(record), indent=0)
        write_atomic(path, lambda handle: handle.write(text.encode()))
        return record

    def _take_mels(self, file: MelFile, content: str) -> TrackRecord:
        """Music that comes as mels: no screening by ear, no audio."""
        clips: list[dict[str, Any]] = []
        mels: list[Tensor] = []
        n_frames = self.mel.n_frames(round(self.clip_s * self.mel.sample_rate))
        for start_s, mel, reason in file.mels(self.mel, n_frames):
            row: dict[str, Any] = {"start_s": start_s, "reason": reason, "index": -1, "level_db": None}
            if mel is not None:
                row |= {"index": len(mels), "min_db": float(mel.min()), "max_db": float(mel.max())}
                mels.append(mel)
            clips.append(row)
        array = self._array(file, content)
        if mels:
            _save(self.folder / "mels" / f"{array}.npy", torch.stack(mels).numpy())
        duration_s = max((clip["start_s"] + self.clip_s for clip in clips), default=0.0)
        return TrackRecord(array, file.genre, file.source, file.score, content, duration_s, "", clips)

    def _is_whole(self, record: TrackRecord, with_audio: bool) -> bool:
        kinds = ("mels", "audio") if with_audio else ("mels",)
        return not record.has_arrays or all(
            (self.folder / k / f"{record.array}.npy").is_file() for k in kinds
        )

    def _process(self, file: SourceFile, content: str, with_audio: bool) -> TrackRecord:
        torch.set_num_threads(1)  # files go in parallel; one thread each also keeps every bit the same
        rate = self.mel.sample_rate
        try:
            waveform, _ = files.decode(file.path, sample_rate=rate, mono=True)
        except _UNREADABLE as error:
            reason = str(error).partition("; ")[0].removeprefix(f"{file.path} ")
            return self._dropped(file, content, reason or type(error).__name__)
        n_samples = round(self.clip_s * rate)
        duration_s = waveform.shape[-1] / rate
        n_clips = waveform.shape[-1] // n_samples
        if not n_clips:
            return self._dropped(file, content, SHORT, duration_s)
        pieces = waveform[0, : n_clips * n_samples].view(n_clips, n_samples)
        clips, mels = self._screen(pieces)
        array = self._array(file, content)
        if mels:
            _save(self.folder / "mels" / f"{array}.npy", torch.stack(mels).numpy())
            if with_audio:
                kept = torch.tensor([not clip["reason"] for clip in clips])
                _save(self.folder / "audio" / f"{array}.npy", _to_int16(pieces[kept]))
        return TrackRecord(array, file.genre, file.source, file.score, content, duration_s, "", clips)

    def _screen(self, pieces: Tensor) -> tuple[list[dict[str, Any]], list[Tensor]]:
        """Clips (N, T) to their rows and the mels (M, F) of those kept."""
        clips: list[dict[str, Any]] = []
        mels: list[Tensor] = []
        for number, piece in enumerate(pieces):
            level = level_db(piece)
            reason = self.rules.reason(level)
            row: dict[str, Any] = {"start_s": number * self.clip_s, "reason": reason, "index": -1}
            row |= {"level_db": None if np.isnan(level) else level, "min_db": None, "max_db": None}
            if not reason:
                mel = self.mel.mel_db(piece[None])[0]
                row |= {"index": len(mels), "min_db": float(mel.min()), "max_db": float(mel.max())}
                mels.append(mel)
            clips.append(row)
        return clips, mels

    def _dropped(self, file: SourceFile, content: str, reason: str, duration_s: float = 0.0) -> TrackRecord:
        array = self._array(file, content)
        return TrackRecord(array, file.genre, file.source, file.score, content, duration_s, reason, [])

    def _array(self, file: SourceFile, content: str) -> str:
        """A name that is safe on any file system and changes with everything that the arrays depend on."""
        settings = [FORMAT_VERSION, self.mel.hash, self.clip_s, dataclasses.asdict(self.rules)]
        identity = json.dumps([file.genre, file.source, file.score, content, settings])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return f"{slug(file.genre)[:20]}-{slug(Path(file.source).stem)[:40]}-{digest}"


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file in the same folder and rename it to `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            write(handle)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _save(path: Path, array: np.ndarray) -> None:
    write_atomic(path, lambda handle: np.save(handle, array))


def _to_int16(waveform: Tensor) -> np.ndarray:
    return (waveform.clamp(-1, 1) * INT16_SCALE).round().to(torch.int16).numpy()
