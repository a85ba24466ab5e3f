"""Define the mel-spectrogram: STFT, mel in dB, scaling to [-1, 1], and their inverses."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel_filters import (
    BlockFilterBank,
    block_filter_bank,
    mel_magnitudes,
    slaney_filters,
    zaf_filters,
)
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.fields import Length, Range, check_fields, check_value

NEPER_PER_DB = math.log(10) / 20
CLIP_RANGE_DB = 100.0  # taken for the range of a clip whose extremes become -1 and 1
MAX_OVERLAP = 64  # hops in a frame


@dataclasses.dataclass(frozen=True)
class MelSpectrogram:
    """A mel-spectrogram: all its settings, and the transforms from waveform to mel and back.

    No other code has STFT settings of its own. Two presets exist: `mel=paper` (the published code of the
    paper, 48 kHz) and `mel=hifi` (the mel of the public BigVGAN-v2 checkpoint: 44.1 kHz, 128 bands, hop 512).

    Shapes: waveform (B, T), STFT (B, n_fft // 2 + 1, F), mel (B, n_mels, F). A mel in dB is
    20 log10(max(mel, floor)).

    Attributes:
        name: name of the preset.
        sample_rate: sample rate in Hz.
        n_fft: samples of a frame, even.
        hop_length: samples from one frame to the next.
        window: window of the STFT.
        n_mels: number of mel bands.
        filters: filter bank, see `audio.mel_filters`.
        f_min_hz: lowest frequency of the bank (`slaney` only).
        f_max_hz: highest frequency of the bank (`slaney` only).
        padding: extension of the waveform at both ends.
        magnitude_epsilon: added to |STFT|^2 under the root.
        floor: lowest linear mel magnitude.
        scaling: whether [-1, 1] spans `min_db` to `max_db` (`fixed`) or the extremes of a clip (`clip`).
        min_db: level that becomes -1 with `fixed` scaling.
        max_db: level that becomes 1 with `fixed` scaling.
    """

    name: Annotated[str, Length(1, 100)]
    sample_rate: Annotated[int, Range(4000, 384_000)]
    n_fft: Annotated[int, Range(16, 65_536)]
    hop_length: Annotated[int, Range(1)]
    window: Literal["hann", "hamming"]
    n_mels: Annotated[int, Range(4, 1024)]
    filters: Literal["slaney", "zaf"]
    f_min_hz: Annotated[float, Range(0)]
    f_max_hz: Annotated[float, Range(0)]
    padding: Literal["reflect", "zeros"]
    magnitude_epsilon: Annotated[float, Range(0, 1)]
    floor: Annotated[float, Range(1e-12, 1)]
    scaling: Literal["fixed", "clip"]
    min_db: Annotated[float, Range(-300, 300)]
    max_db: Annotated[float, Range(-300, 300)]

    def __post_init__(self) -> None:
        check_fields(self, "mel")
        if self.min_db >= self.max_db:
            raise UserError(f"mel.min_db {self.min_db} must be below mel.max_db {self.max_db}")
        if self.n_fft % 2 or not self.n_fft // MAX_OVERLAP <= self.hop_length <= self.n_fft // 2:
            raise UserError(
                f"mel.n_fft must be even, and mel.hop_length 1/{MAX_OVERLAP} to 1/2 of it, "
                f"got {self.n_fft} and {self.hop_length}"
            )
        if not self.f_min_hz < self.f_max_hz <= self.sample_rate / 2:
            raise UserError(
                f"mel.f_min_hz {self.f_min_hz:g} must be below mel.f_max_hz {self.f_max_hz:g}, "
                f"and that at most half of mel.sample_rate {self.sample_rate}"
            )
        if self.n_mels > self.n_fft // 2:
            raise UserError(f"mel.n_mels must be at most half of mel.n_fft {self.n_fft}, got {self.n_mels}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MelSpectrogram":
        """Build from the settings stored in a corpus or checkpoint, and check their `hash` if there is one.

        Raises:
            UserError: a setting is missing or unknown, or the settings do not match the hash.
        """
        check_value("mel", values, dict[str, Any])
        settings = {key: value for key, value in values.items() if key not in ("hash", "_target_")}
        try:
            mel = cls(**settings)
        except TypeError as error:
            raise UserError(
                f"mel settings are not complete ({error}); prepare the corpus or train the model again"
            ) from error
        if "hash" in values and values["hash"] != mel.hash:
            raise UserError(
                f"mel settings do not match their hash {shortened(values['hash'])} (they give {mel.hash}); "
                "prepare the corpus or train the model again"
            )
        return mel

    def to_dict(self) -> dict[str, Any]:
        """Return the settings and their hash, as stored in a corpus and in a checkpoint."""
        return {**dataclasses.asdict(self), "hash": self.hash}

    @property
    def hash(self) -> str:
        """12 hexadecimal digits of all settings but the name; an equal hash means an equal mel."""
        settings = {key: value for key, value in dataclasses.asdict(self).items() if key != "name"}
        canonical = {k: float(v) if isinstance(v, int | float) else v for k, v in settings.items()}
        return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:12]

    def check_compatible(self, other: "MelSpectrogram", name: str, other_name: str) -> None:
        """Check that two definitions give the same mel.

        Args:
            other: the definition to compare with.
            name: owner of this mel, for the message.
            other_name: owner of the other mel.

        Raises:
            UserError: the settings differ; the message shows both values of each.
        """
        if self.hash == other.hash:
            return
        a, b = dataclasses.asdict(self), dataclasses.asdict(other)
        differing = ", ".join(f"{key} {a[key]} against {b[key]}" for key in a if a[key] != b[key])
        raise UserError(
            f"{name} (mel {self.hash}) and {other_name} (mel {other.hash}) differ: {differing}; "
            "use the same mel settings for both"
        )

    @property
    def floor_db(self) -> float:
        """Level of digital silence in the mel, in dB."""
        return 20 * math.log10(self.floor)

    @property
    def unit_db(self) -> float:
        """Decibels in one unit of a normalised mel; if each clip has its own range, a typical number."""
        return (self.max_db - self.min_db if self.scaling == "fixed" else CLIP_RANGE_DB) / 2

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    @property
    def band_hz(self) -> Tensor:
        """Centre of gravity of each mel band in Hz, (n_mels,), ascending."""
        bank = _filter_bank(self, torch.device("cpu"))
        bins_hz = torch.linspace(0, self.sample_rate / 2, self.n_fft // 2 + 1)
        centres = (bank @ bins_hz) / bank.sum(1).clamp_min(1e-9)
        return torch.cummax(centres, 0).values

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of a waveform of `n_samples`."""
        if self.padding == "zeros":
            return math.ceil(n_samples / self.hop_length) + 1
        return (n_samples + 2 * self._pad - self.n_fft) // self.hop_length + 1

    @property
    def _pad(self) -> int:
        """Samples added before the waveform (and, by reflection, after it)."""
        return self.n_fft // 2 if self.padding == "zeros" else (self.n_fft - self.hop_length) // 2

    def stft(self, waveform: Tensor) -> Tensor:
        """Compute the complex STFT (B, n_fft // 2 + 1, F) of a waveform (B, T).

        Raises:
            UserError: the waveform is too short for the padding by reflection.
        """
        padded, window = self._pad_waveform(waveform), _window(self, waveform.device)
        return torch.stft(
            padded, self.n_fft, self.hop_length, window=window, center=False, return_complex=True
        )

    def _pad_waveform(self, waveform: Tensor) -> Tensor:
        n_samples = waveform.shape[-1]
        if self.padding == "zeros":
            length = (self.n_frames(n_samples) - 1) * self.hop_length + self.n_fft
            return F.pad(waveform, (self._pad, length - self._pad - n_samples))
        if n_samples <= self._pad:
            raise UserError(f"audio of {n_samples} samples is shorter than one frame; give at least 0.1 s")
        before, after = waveform[..., 1 : self._pad + 1], waveform[..., -self._pad - 1 : -1]
        return torch.cat([before.flip(-1), waveform, after.flip(-1)], -1)  # `F.pad` takes six times as long

    def istft(self, spectrum: Tensor, n_samples: int, hann_synthesis: bool = False) -> Tensor:
        """Compute the waveform (B, n_samples) whose STFT is nearest to `spectrum`.

        Source: Griffin and Lim 1984, equation 6.
        Args:
            spectrum: complex STFT (B, n_fft // 2 + 1, F).
            n_samples: length of the waveform.
            hann_synthesis: whether the product of analysis and synthesis window is a Hann window. A Hamming
                window does not end at zero, so modified frames would otherwise begin and end with a step.
        """
        synthesis, norm = _synthesis_window(self, spectrum.shape[-1], hann_synthesis, spectrum.device)
        frames = torch.fft.irfft(spectrum.transpose(1, 2), self.n_fft)
        padded = _overlap_add(frames, synthesis, self.hop_length).div_(norm)
        waveform = padded[:, self._pad : self._pad + n_samples]
        missing = n_samples - waveform.shape[-1]
        return F.pad(waveform, (0, missing)) if missing else waveform

    def magnitude(self, spectrum: Tensor) -> Tensor:
        """Return sqrt(|spectrum|^2 + magnitude_epsilon)."""
        return (spectrum.real.square() + spectrum.imag.square() + self.magnitude_epsilon).sqrt()

    def filter_bank(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the mel filter bank (n_mels, n_fft // 2 + 1) float32; cached."""
        return _filter_bank(self, torch.device(device))

    def magnitude_to_mel_db(self, magnitude: Tensor) -> Tensor:
        """Convert magnitudes (B, n_fft // 2 + 1, F) to the mel in dB (B, n_mels, F)."""
        return self._to_db(torch.matmul(_filter_bank(self, magnitude.device), magnitude))

    def _to_db(self, mel: Tensor) -> Tensor:
        return 20 * mel.clamp_min(self.floor).log10()

    def mel_db(self, waveform: Tensor) -> Tensor:
        """Compute the mel in dB (B, n_mels, F) of a waveform (B, T) in [-1, 1]."""
        if waveform.device.type != "cpu" or waveform.dtype != torch.float32 or waveform.requires_grad:
            return self.magnitude_to_mel_db(self.magnitude(self.stft(waveform)))
        frames = self._pad_waveform(waveform).unfold(-1, self.n_fft, self.hop_length)
        window, bank = _window(self, waveform.device), _block_filter_bank(self)
        return self._to_db(
            torch.stack([mel_magnitudes(f, window, self.magnitude_epsilon, bank) for f in frames])
        )

    def db_to_mel(self, mel_db: Tensor) -> Tensor:
        """Convert dB to linear mel magnitude, same shape."""
        return (mel_db * NEPER_PER_DB).exp()  # `torch.pow` takes ten times as long on a CPU

    def range_db(self, mel_db: Tensor) -> tuple[float, float]:
        """Return the dB values that become -1 and 1: the fixed range, or this clip's extremes."""
        if self.scaling == "fixed":
            return self.min_db, self.max_db
        low, high = float(mel_db.min()), float(mel_db.max())
        return low, max(high, low + 1.0)  # a constant clip gets a range of 1 dB

    def normalise(self, mel_db: Tensor, range_db: tuple[float, float] | None = None) -> Tensor:
        """Scale dB to [-1, 1] and clip; `range_db` defaults to `self.range_db(mel_db)`."""
        low, high = range_db or self.range_db(mel_db)
        return ((mel_db - low) * (2 / (high - low)) - 1).clamp(-1, 1)

    def denormalise(self, mel: Tensor, range_db: tuple[float, float] | None = None) -> Tensor:
        """Scale [-1, 1] back to dB.

        Raises:
            ValueError: no `range_db` is given, but each clip has its own (`scaling: clip`).
        """
        if range_db is None:
            if self.scaling == "clip":
                raise ValueError("scaling is per clip; give the clip's range_db")
            range_db = (self.min_db, self.max_db)
        low, high = range_db
        return (mel + 1) * ((high - low) / 2) + low


@lru_cache(maxsize=16)
def _window(mel: MelSpectrogram, device: torch.device) -> Tensor:
    window_function = torch.hann_window if mel.window == "hann" else torch.hamming_window
    return window_function(mel.n_fft, device=device)


@lru_cache(maxsize=16)
def _filter_bank(mel: MelSpectrogram, device: torch.device) -> Tensor:
    if mel.filters == "zaf":
        return zaf_filters(mel.sample_rate, mel.n_fft, mel.n_mels).to(device)
    return slaney_filters(mel.sample_rate, mel.n_fft, mel.n_mels, mel.f_min_hz, mel.f_max_hz).to(device)


@lru_cache(maxsize=16)
def _block_filter_bank(mel: MelSpectrogram) -> BlockFilterBank:
    return block_filter_bank(_filter_bank(mel, torch.device("cpu")))


@lru_cache(maxsize=8)
def _synthesis_window(
    mel: MelSpectrogram, n_frames: int, hann_synthesis: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the synthesis window and the overlap-added products of both windows, (1, padded length)."""
    window = synthesis = _window(mel, device)
    if hann_synthesis and mel.window == "hamming":
        synthesis = torch.hann_window(mel.n_fft, device=device) / window
    window = window.expand(1, n_frames, -1)
    return synthesis, _overlap_add(window, synthesis, mel.hop_length).clamp_min(1e-3)


def _overlap_add(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Window frames (B, F, n_fft) and overlap-add them: (B, (F - 1) * hop_length + n_fft).

    Adds blocks of one hop; `F.fold` gives the same bits but takes several times as long on a CPU.
    """
    batch, n_frames, n_fft = frames.shape
    steps = -(-n_fft // hop_length)
    if missing := steps * hop_length - n_fft:
        frames, window = F.pad(frames, (0, missing)), F.pad(window, (0, missing))
    blocks, windows = (values.unflatten(-1, (steps, hop_length)) for values in (frames, window))
    out = frames.new_zeros(batch, n_frames + steps - 1, hop_length)
    for step in range(steps):
        out[:, step : step + n_frames].addcmul_(blocks[:, :, step], windows[step])
    return out.flatten(1)[:, : (n_frames - 1) * hop_length + n_fft]
