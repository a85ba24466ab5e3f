"""A clip on its way into a corpus: what screening decides on."""

import dataclasses

from torch import Tensor


@dataclasses.dataclass(frozen=True)
class RawClip:
    """A clip as cut from its file, for screening.

    Attributes:
        start_s: where it begins in the file.
        duration_s: its length there.
        channels: (C, T_own) float32 at `rate`; None where only a mel is left of the music.
        rate: the file's own sample rate; 0 without audio.
        mono: (T,) the mean of all channels at the mel's sample rate, as stored, T the same for all clips of a
            corpus; None without audio.
        mono_rate: the mel's sample rate.
        mel_db: (M, F) the mel in dB.
    """

    start_s: float
    duration_s: float
    channels: Tensor | None
    rate: int
    mono: Tensor | None
    mono_rate: int
    mel_db: Tensor
