"""Examples of dropped clips, one for each reason; a corpus does not keep them, so they are cut again."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.manifest import Row
from cyclegan_audio.corpus.preparation.beats import ClipInterval
from cyclegan_audio.corpus.preparation.clip_stream import ClipSettings, ClipStream, RawClip
from cyclegan_audio.corpus.preparation.track_processor import TOO_SHORT
from cyclegan_audio.corpus.sources import GenreFolders, MelRecording, Source, SourceFile
from cyclegan_audio.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class DroppedClip:
    """A dropped clip: its manifest row, its mel (M, F) in dB, and its audio (T,) if there is any."""

    row: Row
    mel_db: Tensor
    mono: Tensor | None


@dataclasses.dataclass(frozen=True)
class SelectedSpans(ClipSettings):
    """Clip settings that cut only selected spans."""

    selected: tuple[ClipInterval, ...] = ()

    def intervals(self, path: Path) -> tuple[ClipInterval, ...]:
        """See `ClipSettings.intervals`."""
        del path
        return self.selected


def one_clip_per_reason(
    rows: Sequence[Row], source: Source, clip_s: float, mel: MelSpectrogram
) -> list[DroppedClip]:
    """Cut the earliest clip of each reason again from its file; return them sorted by reason.

    The earliest clip is the fastest, because files are decoded from the start. Files that have no clip or no
    longer exist are skipped (merging shards needs no files).
    """
    try:  # do not download again
        files = GenreFolders.files(source) if isinstance(source, GenreFolders) else source.files()
    except UserError:
        return []
    by_name = {(file.genre, file.source): file for file in files}
    earliest: dict[str, Row] = {}
    for row in rows:
        if _is_dropped_clip(row) and (row["genre"], row["source"]) in by_name:
            first = earliest.setdefault(row["reason"], row)
            earliest[row["reason"]] = min(first, row, key=lambda clip: clip["start_s"])
    by_file = defaultdict(list)
    for row in sorted(earliest.values(), key=lambda row: row["start_s"]):
        by_file[row["genre"], row["source"]].append(row)
    clips = [
        clip for name, of_file in by_file.items() for clip in _cut_again(by_name[name], of_file, clip_s, mel)
    ]
    return sorted(clips, key=lambda clip: clip.row["reason"])


def _is_dropped_clip(row: Row) -> bool:
    """Return whether the row is a dropped clip, not a file without clips."""
    return not row["kept"] and row["reason"] != TOO_SHORT and row["duration_s"] > 0


def _cut_again(
    file: SourceFile, rows: Sequence[Row], clip_s: float, mel: MelSpectrogram
) -> list[DroppedClip]:
    """Cut clips of a file in one pass, up to the last of them or to damaged data."""
    clips: list[DroppedClip] = []
    with suppress(UserError, OSError):
        if isinstance(file, MelRecording):
            remaining = {row["start_s"]: row for row in rows}
            for start_s, mel_db, _ in file.mels(mel, mel.n_frames(round(clip_s * mel.sample_rate))):
                if mel_db is not None and (row := remaining.pop(start_s, None)) is not None:
                    clips.append(DroppedClip(row, mel_db, None))
                if not remaining:
                    break
        else:
            settings = SelectedSpans(
                clip_s, selected=tuple(ClipInterval(row["start_s"], row["duration_s"]) for row in rows)
            )
            subtract_dc = any(row.get("dc_offset") is not None for row in rows)
            stream = ClipStream(file.path, settings, mel, subtract_dc)
            for row, piece in zip(rows, stream, strict=False):
                if isinstance(piece, RawClip):
                    clips.append(DroppedClip(row, piece.mel_db, piece.mono))
    return clips
