"""All rules together, asked at three moments: for a clip, for a file, for the corpus."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from cyclegan_audio.corpus.raw_clip import RawClip
from cyclegan_audio.corpus.screening import level_rules
from cyclegan_audio.corpus.screening.duplicates import FingerprintedClip, NearDuplicates
from cyclegan_audio.corpus.screening.features import ClipFeatures
from cyclegan_audio.corpus.screening.fingerprint import fingerprint, to_text
from cyclegan_audio.corpus.screening.song_change import SongChange, Timbre, timbre
from cyclegan_audio.corpus.screening.voice import VoiceActivity
from cyclegan_audio.corpus.track_record import TrackRecord
from cyclegan_audio.utils.errors import UserError, check_number

NOT_FINITE = "samples are not finite"

Features = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ScreeningRules:
    """Rules by name; each is switched by its `enabled`, and "" means that a clip is kept.

    The first rule that a clip breaks, in the order of the fields, gives the reason.

    Attributes:
        bandwidth_range_db: content ends where the spectrum has fallen this far below its loudest part.
        recorded: features that stay in a clip's record, for `check_corpus` and reports.
    """

    silence: level_rules.Silence = dataclasses.field(default_factory=level_rules.Silence)
    gap: level_rules.Gap = dataclasses.field(default_factory=level_rules.Gap)
    clipping: level_rules.Clipping = dataclasses.field(default_factory=level_rules.Clipping)
    dc_offset: level_rules.DCOffset = dataclasses.field(default_factory=level_rules.DCOffset)
    dead_channel: level_rules.DeadChannel = dataclasses.field(default_factory=level_rules.DeadChannel)
    dual_mono: level_rules.DualMono = dataclasses.field(default_factory=level_rules.DualMono)
    phase_cancellation: level_rules.PhaseCancellation = dataclasses.field(
        default_factory=level_rules.PhaseCancellation
    )
    voice: VoiceActivity = dataclasses.field(default_factory=lambda: VoiceActivity(enabled=False))
    song_change: SongChange = dataclasses.field(default_factory=SongChange)
    near_duplicates: NearDuplicates = dataclasses.field(default_factory=NearDuplicates)
    bandwidth_range_db: float = 70.0

    recorded = ("level_db", "loudness_lufs", "bandwidth_hz", "fingerprint")

    def __post_init__(self) -> None:
        for rule, values in dataclasses.asdict(self).items():
            for name, value in values.items() if isinstance(values, dict) else [("", values)]:
                if name != "enabled":
                    check_number(f"screening.{rule}.{name}".rstrip("."), value)
                elif not isinstance(value, bool):
                    raise UserError(f"screening.{rule}.enabled={value} is neither true nor false")

    @property
    def of_files(self) -> dict[str, Any]:
        """Plain values of all that the record of a file depends on: not the rule on the whole corpus."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "near_duplicates"}

    def check_clip(self, piece: RawClip) -> tuple[str, Features]:
        """Why a clip is dropped on its own, and what the later checks need to know of it."""
        prints = {"fingerprint": to_text(fingerprint(piece.mel_db, piece.duration_s))}
        if piece.mono is None or piece.channels is None:
            return "", prints
        level = level_rules.level_db(piece.mono)
        if not math.isfinite(level):
            return NOT_FINITE, {"level_db": None}
        features: Features = {"level_db": level}
        if reason := self._broken_level(piece.channels, piece.rate, piece.mono):
            return reason, features
        analysis = ClipFeatures(piece.mono, piece.mono_rate)
        features |= prints | {
            "loudness_lufs": analysis.loudness_lufs,
            "bandwidth_hz": analysis.bandwidth_hz(self.bandwidth_range_db),
        }
        if self.song_change.enabled:
            features["timbre"] = timbre(analysis)
        if self.voice.enabled and self.voice.rejects(piece.mono, piece.mono_rate, analysis.loudness_lufs):
            return self.voice.reason, features
        return "", features

    def _broken_level(self, channels: Tensor, rate: int, mono: Tensor) -> str:
        """The first rule on level that (C, T) breaks."""
        levels_db = level_rules.frame_levels_db(channels.mean(0), rate)
        checks: Iterator[tuple[Any, bool]] = (
            (rule, rule.enabled and rule.rejects(*given))
            for rule, given in (
                (self.phase_cancellation, (channels,)),
                (self.silence, (mono, levels_db)),
                (self.gap, (levels_db,)),
                (self.clipping, (channels,)),
                (self.dc_offset, (channels,)),
                (self.dead_channel, (channels,)),
                (self.dual_mono, (channels,)),
            )
        )
        return next((rule.reason for rule, is_broken in checks if is_broken), "")

    def check_track(self, starts_s: Sequence[float], features: Sequence[Features]) -> list[str]:
        """Reasons that show only beside a file's other clips; asked once a file with all its clips."""
        known = [number for number, found in enumerate(features) if "timbre" in found]
        clips: list[Timbre] = [features[number]["timbre"] for number in known]
        lengths_s = [len(clip.flux) / clip.rate_hz for clip in clips]
        broken = self.song_change.rejects([starts_s[number] for number in known], lengths_s, clips)
        reasons = [""] * len(starts_s)
        for number, is_broken in zip(known, broken, strict=True):
            reasons[number] = self.song_change.reason if is_broken else ""
        return reasons

    def check_corpus(self, records: Sequence[TrackRecord]) -> Mapping[str, str]:
        """Reasons by clip_id that show only beside other files, for clips kept until now."""
        if not self.near_duplicates.enabled:
            return {}
        clips = [
            FingerprintedClip(
                record.clip_id(clip),
                record.content,
                clip["start_s"],
                clip["duration_s"],
                clip["fingerprint"],
                protected=bool(record.score),
            )
            for record in records
            for clip in record.clips
            if not clip["reason"] and clip.get("fingerprint")
        ]
        return dict.fromkeys(self.near_duplicates.find(clips), self.near_duplicates.reason)
