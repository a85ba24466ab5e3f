"""One source file to its arrays and its record: decode, cut, screen, mel, in one pass of flat memory."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import slug
from cyclegan_audio.corpus.npy_writer import NpyAppender
from cyclegan_audio.corpus.corpus import FORMAT_VERSION, INT16_SCALE
from cyclegan_audio.corpus.build.clip_stream import ClipSettings, AudioInfo, ClipStream
from cyclegan_audio.corpus.raw_clip import RawClip
from cyclegan_audio.corpus.screening import Features, ScreeningRules
from cyclegan_audio.corpus.sources import MelRecording, SourceFile
from cyclegan_audio.corpus.track_record import TrackRecord, is_whole, read_record
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.atomic import atomic_write_text

SHORT = "shorter than a clip"


class HashedFile(NamedTuple):
    """A source file with the SHA-256 of its bytes, or with the reason why it cannot be read."""

    file: SourceFile
    content: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class TrackProcessor:
    """Makes the arrays and the record of source files in a corpus folder, in any order."""

    folder: Path
    mel: MelSpectrogram
    clip: ClipSettings
    rules: ScreeningRules

    def hash(self, file: SourceFile) -> HashedFile:
        """Hash a file, the only time that `prepare` does so; nothing is raised where it cannot be read."""
        try:
            return HashedFile(file, file.digest())
        except OSError as error:
            return HashedFile(file, "", f"cannot be read ({error.strerror})")
        except UserError as error:
            return HashedFile(file, "", _said(error, file))

    def load_cached(self, hashed: HashedFile, with_audio: bool) -> TrackRecord | None:
        """Read the record of a file that is done already, whole and undamaged, or cannot be read."""
        file, content, reason = hashed
        if reason:
            return self._dropped(file, content, reason)
        record = read_record(self.folder / "tracks" / f"{self._array(file, content)}.json")
        return record if record and is_whole(self.folder, record, with_audio) else None

    def process(self, hashed: HashedFile, with_audio: bool) -> TrackRecord:
        """Process a file, or read its record where it is done already.

        Raises:
            OSError: the corpus cannot be written.
        """
        if (done := self.load_cached(hashed, with_audio)) is not None:
            return done
        file, content, _ = hashed
        torch.set_num_threads(1)  # files go in parallel; one thread each also keeps every bit the same
        try:
            record = self._process(file, content, with_audio)
        except UserError as error:
            record = self._dropped(file, content, _said(error, file))
        return self._keep(record)

    def mark_failed(self, hashed: HashedFile, reason: str) -> TrackRecord:
        """Keep a record of a file that cannot even be tried."""
        return self._keep(self._dropped(hashed.file, hashed.content, reason))

    def _keep(self, record: TrackRecord) -> TrackRecord:
        path = self.folder / "tracks" / f"{record.array}.json"
        atomic_write_text(path, json.dumps(dataclasses.asdict(record), indent=0))
        return record

    def _process(self, file: SourceFile, content: str, with_audio: bool) -> TrackRecord:
        """Stream the file through screening into its arrays.

        Raises:
            UserError: the file cannot be read.
        """
        array = self._array(file, content)
        facts = AudioInfo()
        stream: Iterable[RawClip | tuple[float, str]]
        if isinstance(file, MelRecording):
            stream = self._mel_pieces(file, facts)
        else:
            clip = self.clip.unaligned if file.score else self.clip  # one score begins alike in all genres
            stream = ClipStream(file.path, clip, self.mel)
        with ExitStack() as stack:
            mels = stack.enter_context(NpyAppender(self.folder / "mels" / f"{array}.npy"))
            audio = stack.enter_context(NpyAppender(self.folder / "audio" / f"{array}.npy"))
            clips = self._screen(stream, mels, audio if with_audio else None)
            mels.commit()
            audio.commit()
        facts = stream.info if isinstance(stream, ClipStream) else facts
        if not clips:
            return self._dropped(file, content, SHORT, facts)
        return dataclasses.replace(self._dropped(file, content, "", facts), clips=clips, rows=mels.rows)

    def _screen(
        self, stream: Iterable[RawClip | tuple[float, str]], mels: NpyAppender, audio: NpyAppender | None
    ) -> list[dict[str, Any]]:
        """Pieces to the rows of the record; those not dropped are written, with their audio where wanted."""
        clips: list[dict[str, Any]] = []
        features: list[Features] = []
        for piece in stream:
            if not isinstance(piece, RawClip):
                start_s, reason = piece
                clips.append({"start_s": start_s, "reason": reason, "index": -1})
                features.append({})
                continue
            reason, found = self.rules.check_clip(piece)
            row = {"start_s": piece.start_s, "duration_s": piece.duration_s, "reason": reason, "index": -1}
            row |= {key: found[key] for key in self.rules.recorded if key in found}
            if not reason:
                row |= {
                    "index": mels.rows,
                    "min_db": float(piece.mel_db.min()),
                    "max_db": float(piece.mel_db.max()),
                }
                mels.append(piece.mel_db.numpy())
                if audio is not None and piece.mono is not None:
                    audio.append(_to_int16(piece.mono))
            clips.append(row)
            features.append(found)
        later = self.rules.check_track([clip["start_s"] for clip in clips], features)
        for clip, reason in zip(clips, later, strict=True):
            clip["reason"] = clip["reason"] or reason
        return clips

    def _mel_pieces(self, file: MelRecording, facts: AudioInfo) -> Iterator[RawClip | tuple[float, str]]:
        """Music that comes as mels: clips without audio, or (start_s, reason) where one cannot be read."""
        if self.clip.align != "none":
            raise UserError(f"has no audio for clip.align={self.clip.align}; leave that out")
        n_frames = self.mel.n_frames(round(self.clip.seconds * self.mel.sample_rate))
        for start_s, mel, reason in file.mels(self.mel, n_frames):
            facts.duration_s = max(facts.duration_s, start_s + self.clip.seconds)
            if mel is None:
                yield start_s, reason
            else:
                yield RawClip(start_s, self.clip.seconds, None, 0, None, self.mel.sample_rate, mel)

    def _dropped(
        self, file: SourceFile, content: str, reason: str, facts: AudioInfo | None = None
    ) -> TrackRecord:
        known = (facts or AudioInfo()).to_dict()
        duration_s = known.pop("duration_s")
        return TrackRecord(
            self._array(file, content),
            file.genre,
            file.source,
            file.score,
            content,
            duration_s,
            reason,
            [],
            known,
        )

    def _array(self, file: SourceFile, content: str) -> str:
        """A name that is safe on any file system and changes with everything that the arrays depend on."""
        settings = [
            FORMAT_VERSION,
            self.mel.hash,
            dataclasses.asdict(self.clip),
            self.rules.of_files,
        ]
        identity = json.dumps([file.genre, file.source, file.score, content, settings])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return f"{slug(file.genre)[:20]}-{slug(Path(file.source).stem)[:40]}-{digest}"


def _said(error: UserError, file: SourceFile) -> str:
    """What is wrong with a file, without its path and without advice."""
    return str(error).partition("; ")[0].removeprefix(f"{file.path} ")


def _to_int16(waveform: Tensor) -> np.ndarray:
    return (waveform.clamp(-1, 1) * INT16_SCALE).round().to(torch.int16).numpy()
