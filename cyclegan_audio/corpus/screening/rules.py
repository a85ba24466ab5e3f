"""Apply all screening rules: to each clip, to all clips of a track, and to the whole corpus."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from cyclegan_audio.audio.dc_blocker import channel_offsets
from cyclegan_audio.audio.io import MAX_SAMPLE
from cyclegan_audio.corpus.preparation.clip_stream import RawClip
from cyclegan_audio.corpus.screening import level_rules
from cyclegan_audio.corpus.screening.features import ClipFeatures
from cyclegan_audio.corpus.screening.near_duplicates import (
    FingerprintedClip,
    NearDuplicates,
    encode_fingerprint,
    fingerprint,
)
from cyclegan_audio.corpus.screening.song_change import SongChange, Timbre, measure_timbre
from cyclegan_audio.corpus.screening.voice import VoiceActivity
from cyclegan_audio.corpus.track_files import TrackRecord
from cyclegan_audio.utils.errors import UserError, check_number

NOT_FINITE = "non-finite samples"
TOO_LARGE = f"samples above {MAX_SAMPLE:,.0f}"

Features = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ScreeningRules:
    """All rules by name, each with its switch `enabled`. Checks return the reason, "" for a clip to keep.

    The first rule that rejects a clip gives the reason: phase cancellation, then the order of the fields.

    Attributes:
        bandwidth_range_db: content lies within this range of the spectrum's maximum.
        recorded_features: features kept in a clip's record, for `check_corpus` and reports.
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

    recorded_features = ("level_db", "loudness_lufs", "bandwidth_hz", "dc_offset", "fingerprint")

    def __post_init__(self) -> None:
        for rule, values in dataclasses.asdict(self).items():
            for name, value in values.items() if isinstance(values, dict) else [("", values)]:
                if name != "enabled":
                    check_number(f"screening.{rule}.{name}".rstrip("."), value)
                elif not isinstance(value, bool):
                    raise UserError(f"screening.{rule}.enabled={value} is not a switch; use true or false")

    @property
    def per_file_settings(self) -> dict[str, Any]:
        """Return all settings that a track record depends on, without those of `check_corpus`."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "near_duplicates"}

    def check_clip(self, clip: RawClip) -> tuple[str, Features]:
        """Return why a clip is dropped by itself, and the features that later checks need."""
        fingerprint_features = {"fingerprint": encode_fingerprint(fingerprint(clip.mel_db, clip.duration_s))}
        if clip.mono is None or clip.channels is None:
            return "", fingerprint_features
        level = level_rules.level_db(clip.mono)
        if not math.isfinite(level):
            return NOT_FINITE, {"level_db": None}
        features: Features = {"level_db": level}
        if clip.channels.abs().max() > MAX_SAMPLE:
            return TOO_LARGE, features
        if clip.decoded is not None:
            features["dc_offset"] = max(channel_offsets(clip.decoded).tolist(), key=abs)
        decoded = clip.channels if clip.decoded is None else clip.decoded
        if reason := self._level_reason(clip.channels, decoded, clip.rate, clip.mono):
            return reason, features
        clip_features = ClipFeatures(clip.mono, clip.mono_rate)
        features |= fingerprint_features | {
            "loudness_lufs": clip_features.loudness_lufs,
            "bandwidth_hz": clip_features.bandwidth_hz(self.bandwidth_range_db),
        }
        if self.song_change.enabled:
            features["timbre"] = measure_timbre(clip_features)
        if self.voice.enabled and self.voice.rejects(clip.mono, clip.mono_rate, clip_features.loudness_lufs):
            return self.voice.reason, features
        return "", features

    def _level_reason(self, channels: Tensor, decoded: Tensor, rate: int, mono: Tensor) -> str:
        """Return the reason of the first level rule that rejects (C, T), or ""."""
        levels_db = level_rules.frame_levels_db(channels.mean(0), rate)
        checks: Iterator[tuple[Any, bool]] = (
            (rule, rule.enabled and rule.rejects(*given))
            for rule, given in (
                (self.phase_cancellation, (channels,)),
                (self.silence, (mono, levels_db)),
                (self.gap, (levels_db,)),
                (self.clipping, (decoded,)),  # subtracting the offset tilts flat tops
                (self.dc_offset, (channels,)),
                (self.dead_channel, (channels,)),
                (self.dual_mono, (channels,)),
            )
        )
        return next((rule.reason for rule, is_rejected in checks if is_rejected), "")

    def check_track(self, starts_s: Sequence[float], features: Sequence[Features]) -> list[str]:
        """Return a reason for each clip of a track, from a comparison with the track's other clips."""
        known = [number for number, clip_features in enumerate(features) if "timbre" in clip_features]
        clips: list[Timbre] = [features[number]["timbre"] for number in known]
        lengths_s = [len(clip.flux) / clip.rate_hz for clip in clips]
        rejected = self.song_change.rejects([starts_s[number] for number in known], lengths_s, clips)
        reasons = [""] * len(starts_s)
        for number, is_rejected in zip(known, rejected, strict=True):
            reasons[number] = self.song_change.reason if is_rejected else ""
        return reasons

    def check_corpus(self, records: Sequence[TrackRecord], splits: Mapping[str, str]) -> Mapping[str, str]:
        """Return reasons by clip_id, from a comparison of all clips of all files.

        Args:
            records: records of the files.
            splits: the split of each kept clip by its clip_id; other clips are left out.
        """
        if not self.near_duplicates.enabled:
            return {}
        clips = [
            FingerprintedClip(
                clip_id,
                record.genre,
                splits[clip_id],
                record.array,
                record.content,
                clip["start_s"],
                clip["duration_s"],
                clip["fingerprint"],
                protected=bool(record.score),
            )
            for record in records
            for clip in record.clips
            if (clip_id := record.clip_id(clip)) in splits and clip.get("fingerprint")
        ]
        return dict.fromkeys(self.near_duplicates.find(clips), self.near_duplicates.reason)
