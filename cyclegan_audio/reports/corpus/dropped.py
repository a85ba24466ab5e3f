"""One clip of each kind that was dropped, cut from its file again: a corpus keeps none of them."""

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
class Dropped:
    """A dropped clip: its row of the manifest, its mel (M, F) in dB, its audio (T,) where there is some."""

    row: Row
    mel_db: Tensor
    mono: Tensor | None


@dataclasses.dataclass(frozen=True)
class Only(ClipSettings):
    """Just these clips."""

    chosen: tuple[ClipInterval, ...] = ()

    def intervals(self, path: Path) -> tuple[ClipInterval, ...]:
        """See `ClipSettings.spans`."""
        del path
        return self.chosen


def one_of_each_kind(
    rows: Sequence[Row], source: Source, clip_s: float, mel: MelSpectrogram
) -> list[Dropped]:
    """The earliest clip of each reason that can still be cut from its file, sorted by reason.

    The earliest, as a file has to be decoded up to it. Files that give no clip, or are not there (a merge of
    shards needs none), are left out.
    """
    try:  # what links had to give is fetched already
        files = GenreFolders.files(source) if isinstance(source, GenreFolders) else source.files()
    except UserError:
        return []
    by_name = {(file.genre, file.source): file for file in files}
    earliest: dict[str, Row] = {}
    for row in rows:
        if _was_cut(row) and (row["genre"], row["source"]) in by_name:
            first = earliest.setdefault(row["reason"], row)
            earliest[row["reason"]] = min(first, row, key=lambda one: one["start_s"])
    of_file = defaultdict(list)
    for row in sorted(earliest.values(), key=lambda row: row["start_s"]):
        of_file[row["genre"], row["source"]].append(row)
    found = [one for name, own in of_file.items() for one in _cut(by_name[name], own, clip_s, mel)]
    return sorted(found, key=lambda one: one.row["reason"])


def _was_cut(row: Row) -> bool:
    """Whether the row is of a dropped clip, not of a file that gave none."""
    return not row["kept"] and row["reason"] != TOO_SHORT and row["duration_s"] > 0


def _cut(file: SourceFile, rows: Sequence[Row], clip_s: float, mel: MelSpectrogram) -> list[Dropped]:
    """The clips of a file, in one pass up to the last of them or to a damaged place."""
    found: list[Dropped] = []
    with suppress(UserError, OSError):
        if isinstance(file, MelRecording):
            wanted = {row["start_s"]: row for row in rows}
            for start_s, mel_db, _ in file.mels(mel, mel.n_frames(round(clip_s * mel.sample_rate))):
                if mel_db is not None and (row := wanted.pop(start_s, None)) is not None:
                    found.append(Dropped(row, mel_db, None))
                if not wanted:
                    break
        else:
            only = Only(clip_s, chosen=tuple(ClipInterval(row["start_s"], row["duration_s"]) for row in rows))
            for row, piece in zip(rows, ClipStream(file.path, only, mel), strict=False):
                if isinstance(piece, RawClip):
                    found.append(Dropped(row, piece.mel_db, piece.mono))
    return found
