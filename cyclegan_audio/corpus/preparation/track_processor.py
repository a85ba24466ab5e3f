"""Process a source file into its arrays and record: decode, cut, screen, compute mels, in one pass."""

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import slug
from cyclegan_audio.corpus.corpus import INT16_SCALE
from cyclegan_audio.corpus.preparation.clip_stream import AudioInfo, ClipSettings, ClipStream, RawClip
from cyclegan_audio.corpus.screening import Features, ScreeningRules
from cyclegan_audio.corpus.settings_file import FORMAT_VERSION
from cyclegan_audio.corpus.sources import MelRecording, SourceFile
from cyclegan_audio.corpus.track_files import (
    AUDIO,
    MELS,
    TRACKS,
    NpyAppender,
    StoredArrays,
    TrackRecord,
    are_levels,
    read_record,
)
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.printing import get_logger
from cyclegan_audio.utils.shortages import find_shortage

TOO_SHORT = "shorter than a clip"
NO_LEVELS = "non-finite levels"

log = get_logger(__name__)


class _DCOffsetPresent(Exception):
    """The file must be processed again, without its DC offset."""


class HashedFile(NamedTuple):
    """A source file with the SHA-256 of its bytes, or the reason why it cannot be read."""

    file: SourceFile
    content: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class TrackProcessor:
    """Writes the arrays and records of source files into a corpus folder, in any order."""

    folder: Path
    mel: MelSpectrogram
    clip: ClipSettings
    rules: ScreeningRules

    def hash(self, file: SourceFile) -> HashedFile:
        """Hash a file, once per `prepare`; a file that cannot be read gets a reason, no exception."""
        try:
            return HashedFile(file, file.digest())
        except OSError as error:
            return HashedFile(file, "", f"cannot be read ({error.strerror})")
        except UserError as error:
            return HashedFile(file, "", _short_reason(error, file))

    @property
    def arrays(self) -> StoredArrays:
        """Return the arrays of the corpus."""
        return StoredArrays(self.folder, self.mel, self.clip.seconds)

    def load_cached(self, hashed: HashedFile, with_audio: bool) -> TrackRecord | None:
        """Return the record of a file that is complete and undamaged, or that cannot be read; else None.

        All of its arrays are read and compared with their checksums. A damaged file gives a line.
        """
        file, content, reason = hashed
        if reason:
            return self._record_without_clips(file, content, reason)
        path = self.folder / TRACKS / f"{self._array_name(file, content)}.json"
        record = read_record(path)
        if record is None or not _is_record_of(record, hashed):
            damaged = [path]
        elif not (damaged := self.arrays.damaged_files(record, with_audio)):
            return record
        if existing := [path for path in damaged if path.exists()]:
            log.warning(
                "warning: %s: %s is prepared again, as %s is damaged", file.genre, file.source, existing[0]
            )
        return None

    def process(self, hashed: HashedFile, with_audio: bool) -> TrackRecord:
        """Process a file, and write its arrays and record.

        Raises:
            OSError: the corpus cannot be written.
        """
        file, content, _ = hashed
        torch.set_num_threads(1)  # files run in parallel; one thread each also keeps results bit-identical
        try:
            record = self._process(file, content, with_audio)
        except UserError as error:
            if shortage := find_shortage(error):  # no record: the next `prepare` tries the file again
                return self._record_without_clips(file, content, shortage.value)
            record = self._record_without_clips(file, content, _short_reason(error, file))
        return self._write_record(record)

    def mark_failed(self, hashed: HashedFile, reason: str, try_again: bool) -> TrackRecord:
        """Return the record of a file whose processing crashed; write it unless to `try_again` next time."""
        record = self._record_without_clips(hashed.file, hashed.content, reason)
        return record if try_again else self._write_record(record)

    def _write_record(self, record: TrackRecord) -> TrackRecord:
        record.write(self.folder)
        return record

    def _process(self, file: SourceFile, content: str, with_audio: bool) -> TrackRecord:
        """Stream the file through screening into its arrays; begin again if a DC offset must be subtracted.

        Raises:
            UserError: the file cannot be read.
        """
        try:
            return self._process_stream(file, content, with_audio, subtract_dc=False)
        except _DCOffsetPresent:
            return self._process_stream(file, content, with_audio, subtract_dc=True)

    def _process_stream(
        self, file: SourceFile, content: str, with_audio: bool, subtract_dc: bool
    ) -> TrackRecord:
        """See `_process`.

        Raises:
            _DCOffsetPresent: at the first clip with an offset that was not subtracted.
        """
        array = self._array_name(file, content)
        info = AudioInfo()
        stream: Iterable[RawClip | tuple[float, str]]
        if isinstance(file, MelRecording):
            stream = self._mel_clips(file, info)
        else:
            # Paired clips must start at the same times in all genres.
            settings = self.clip.unaligned if file.score else self.clip
            stream = ClipStream(file.path, settings, self.mel, subtract_dc)
        with ExitStack() as stack:
            mels = stack.enter_context(NpyAppender(self.arrays.path(MELS, array)))
            audio = stack.enter_context(NpyAppender(self.arrays.path(AUDIO, array)))
            clips = self._screen(stream, mels, audio if with_audio else None)
            mels.commit()
            audio.commit()
        info = stream.info if isinstance(stream, ClipStream) else info
        if not clips:
            return self._record_without_clips(file, content, TOO_SHORT, info)
        return dataclasses.replace(
            self._record_without_clips(file, content, "", info), clips=clips, rows=mels.rows
        )

    def _screen(
        self, stream: Iterable[RawClip | tuple[float, str]], mels: NpyAppender, audio: NpyAppender | None
    ) -> list[dict[str, Any]]:
        """Screen clips, write those that are kept, and return their entries for the track record."""
        clips: list[dict[str, Any]] = []
        features: list[Features] = []
        for raw in stream:
            if not isinstance(raw, RawClip):
                start_s, reason = raw
                clips.append({"start_s": start_s, "reason": reason, "index": -1})
                features.append({})
                continue
            if self.rules.dc_offset.must_be_subtracted(raw.channels, raw.decoded):
                raise _DCOffsetPresent
            reason, clip_features = self.rules.check_clip(raw)
            mel_db = raw.mel_db.numpy()
            reason = reason or ("" if are_levels(mel_db) else NO_LEVELS)
            entry = {"start_s": raw.start_s, "duration_s": raw.duration_s, "reason": reason, "index": -1}
            recorded = self.rules.recorded_features
            entry |= {key: clip_features[key] for key in recorded if key in clip_features}
            if not reason:
                samples = None if raw.mono is None else _to_int16(raw.mono)
                entry |= {
                    "index": mels.rows,
                    "min_db": float(mel_db.min()),
                    "max_db": float(mel_db.max()),
                    "mel_crc32": mels.append(mel_db),
                    "audio_crc32": None if samples is None else zlib.crc32(samples.data),
                }
                if audio is not None and samples is not None:
                    audio.append(samples)
            clips.append(entry)
            features.append(clip_features)
        track_reasons = self.rules.check_track([clip["start_s"] for clip in clips], features)
        for clip, reason in zip(clips, track_reasons, strict=True):
            clip["reason"] = clip["reason"] or reason
        return clips

    def _mel_clips(self, file: MelRecording, info: AudioInfo) -> Iterator[RawClip | tuple[float, str]]:
        """Yield clips of a mel recording, or (start_s, reason) for a clip that cannot be read."""
        if self.clip.align != "none":
            raise UserError(f"has no audio for clip.align={self.clip.align}; leave clip.align out")
        n_frames = self.mel.n_frames(round(self.clip.seconds * self.mel.sample_rate))
        for start_s, mel, reason in file.mels(self.mel, n_frames):
            info.duration_s = max(info.duration_s, start_s + self.clip.seconds)
            if mel is None:
                yield start_s, reason
            else:
                yield RawClip(start_s, self.clip.seconds, None, 0, None, self.mel.sample_rate, mel)

    def _record_without_clips(
        self, file: SourceFile, content: str, reason: str, info: AudioInfo | None = None
    ) -> TrackRecord:
        values = (info or AudioInfo()).to_dict()
        duration_s = values.pop("duration_s")
        return TrackRecord(
            self._array_name(file, content),
            file.genre,
            file.source,
            file.score,
            content,
            duration_s,
            reason,
            [],
            values,
        )

    def _array_name(self, file: SourceFile, content: str) -> str:
        """Return a name that is safe on any file system and changes with all that the arrays depend on."""
        settings = [
            FORMAT_VERSION,
            self.mel.hash,
            dataclasses.asdict(self.clip),
            self.rules.per_file_settings,
        ]
        identity = json.dumps([file.genre, file.source, file.score, content, settings])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return f"{slug(file.genre)[:20]}-{slug(Path(file.source).stem)[:40]}-{digest}"


def _is_record_of(record: TrackRecord, hashed: HashedFile) -> bool:
    file, content, _ = hashed
    stored = (record.genre, record.source, record.score, record.content)
    return stored == (file.genre, file.source, file.score, content)


def _short_reason(error: UserError, file: SourceFile) -> str:
    """Return the reason why a file was rejected, without its path and the remedy."""
    return str(error).partition("; ")[0].removeprefix(f"{file.path} ")


def _to_int16(waveform: Tensor) -> np.ndarray:
    return (waveform.clamp(-1, 1) * INT16_SCALE).round().to(torch.int16).numpy()
