"""The mel contract: the one owner of every STFT number, from waveform to mel-spectrogram and back."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.mel_cpu import BlockFilterBank, block_filter_bank, mel_magnitudes
from cyclegan_audio.audio.mel_filters import slaney_filters, zaf_filters
from cyclegan_audio.utils.errors import UserError

NEPER_PER_DB = math.log(10) / 20


@dataclasses.dataclass(frozen=True)
class MelSpectrogram:
    """Everything that defines a mel-spectrogram in dB and its scaling to [-1, 1].

    Two definitions exist as configs: `mel=paper` (the published code of the paper, 48 kHz) and `mel=hifi`
    (the mel of the public BigVGAN-v2 44.1 kHz checkpoint with 128 bands and step 512). Shapes: waveform (B,
    T), STFT (B, n_fft // 2 + 1, F), mel (B, n_mels, F). A mel in dB is 20 log10(max(mel, floor)).
    """

    name: str
    sample_rate: int
    n_fft: int
    hop_length: int
    window: Literal["hann", "hamming"]
    n_mels: int
    filters: Literal["slaney", "zaf"]
    f_min_hz: float
    f_max_hz: float
    padding: Literal["reflect", "zeros"]
    magnitude_epsilon: float
    floor: float
    scaling: Literal["fixed", "clip"]
    min_db: float
    max_db: float

    def __post_init__(self) -> None:
        if self.min_db >= self.max_db:
            raise UserError(f"mel: min_db {self.min_db} must be below max_db {self.max_db}; mend conf/mel")
        if self.n_fft % 2 or self.hop_length > self.n_fft // 2:
            raise UserError("mel: n_fft must be even and hop_length at most half of it; mend conf/mel")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MelSpectrogram":
        """Build from plain values (a corpus, a checkpoint); the key `hash` is checked where it is given.

        Raises:
            UserError: a setting is missing or unknown, or the hash does not belong to the settings.
        """
        plain = {key: value for key, value in values.items() if key not in ("hash", "_target_")}
        try:
            settings = cls(**plain)
        except TypeError as error:
            raise UserError(
                f"mel settings are not complete ({error}); make the corpus or model anew"
            ) from error
        if "hash" in values and values["hash"] != settings.hash:
            raise UserError(
                f"mel settings do not match their hash {values['hash']} (they give {settings.hash})"
            )
        return settings

    def to_dict(self) -> dict[str, Any]:
        """Plain values with their hash, as kept in a corpus and in a checkpoint."""
        return {**dataclasses.asdict(self), "hash": self.hash}

    @property
    def hash(self) -> str:
        """12 hexadecimal digits over every number but the name: equal hash, equal mel."""
        numbers = {key: value for key, value in dataclasses.asdict(self).items() if key != "name"}
        canonical = {k: float(v) if isinstance(v, int | float) else v for k, v in numbers.items()}
        return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:12]

    def check_compatible(self, other: "MelSpectrogram", mine: str, theirs: str) -> None:
        """Refuse a mismatch, showing both values of everything that differs.

        Raises:
            UserError: the settings differ; `mine` and `theirs` name the two sides in the message.
        """
        if self.hash == other.hash:
            return
        a, b = dataclasses.asdict(self), dataclasses.asdict(other)
        differing = ", ".join(f"{key} {a[key]} against {b[key]}" for key in a if a[key] != b[key])
        raise UserError(
            f"{mine} (mel {self.hash}) and {theirs} (mel {other.hash}) differ: {differing}; "
            "use the same mel settings for both"
        )

    @property
    def floor_db(self) -> float:
        """What digital silence is in the mel."""
        return 20 * math.log10(self.floor)

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    @property
    def band_hz(self) -> Tensor:
        """Centre of gravity of each mel band in Hz, (n_mels,), rising."""
        bank = _filters(self, torch.device("cpu"))
        bins_hz = torch.linspace(0, self.sample_rate / 2, self.n_fft // 2 + 1)
        centres = (bank @ bins_hz) / bank.sum(1).clamp_min(1e-9)
        return torch.cummax(centres, 0).values

    def n_frames(self, n_samples: int) -> int:
        """Frames of a waveform of `n_samples`."""
        if self.padding == "zeros":
            return math.ceil(n_samples / self.hop_length) + 1
        return (n_samples + 2 * self._pad - self.n_fft) // self.hop_length + 1

    @property
    def _pad(self) -> int:
        """Samples put before the waveform (and, reflected, after it)."""
        return self.n_fft // 2 if self.padding == "zeros" else (self.n_fft - self.hop_length) // 2

    def stft(self, waveform: Tensor) -> Tensor:
        """(B, T) to the complex STFT (B, n_fft // 2 + 1, F), framed as this mel frames it.

        Raises:
            UserError: the waveform is too short for the padding by reflection.
        """
        padded, window = self._padded(waveform), _window(self, waveform.device)
        return torch.stft(
            padded, self.n_fft, self.hop_length, window=window, center=False, return_complex=True
        )

    def _padded(self, waveform: Tensor) -> Tensor:
        n_samples = waveform.shape[-1]
        if self.padding == "zeros":
            length = (self.n_frames(n_samples) - 1) * self.hop_length + self.n_fft
            return F.pad(waveform, (self._pad, length - self._pad - n_samples))
        if n_samples <= self._pad:
            raise UserError(f"audio of {n_samples} samples is shorter than one frame; give at least 0.1 s")
        before, after = waveform[..., 1 : self._pad + 1], waveform[..., -self._pad - 1 : -1]
        return torch.cat([before.flip(-1), waveform, after.flip(-1)], -1)  # `F.pad` takes six times as long

    def istft(self, spectrum: Tensor, n_samples: int, smooth: bool = False) -> Tensor:
        """The waveform (B, n_samples) whose STFT is nearest to `spectrum` (Griffin and Lim 1984, eq. 6).

        A Hamming window does not end at zero: a waveform from frames that were changed then steps where one
        begins or ends. `smooth` takes for synthesis what makes a Hann window of the product of both windows.
        """
        synthesis, norm = _synthesis(self, spectrum.shape[-1], smooth, spectrum.device)
        frames = torch.fft.irfft(spectrum.transpose(1, 2), self.n_fft)
        padded = _overlap_add(frames, synthesis, self.hop_length).div_(norm)
        made = padded[:, self._pad : self._pad + n_samples]
        missing = n_samples - made.shape[-1]
        return F.pad(made, (0, missing)) if missing else made

    def magnitude(self, spectrum: Tensor) -> Tensor:
        """|STFT| with the stated epsilon under the root."""
        return (spectrum.real.square() + spectrum.imag.square() + self.magnitude_epsilon).sqrt()

    def filter_bank(self, device: torch.device | str = "cpu") -> Tensor:
        """(n_mels, n_fft // 2 + 1) float32; cached."""
        return _filters(self, torch.device(device))

    def magnitude_to_mel_db(self, magnitude: Tensor) -> Tensor:
        """Magnitudes (B, n_fft // 2 + 1, F) to the mel in dB (B, n_mels, F)."""
        return self._db(torch.matmul(_filters(self, magnitude.device), magnitude))

    def _db(self, mel: Tensor) -> Tensor:
        return 20 * mel.clamp_min(self.floor).log10()

    def mel_db(self, waveform: Tensor) -> Tensor:
        """Waveform (B, T) in [-1, 1] to the mel in dB (B, n_mels, F)."""
        if waveform.device.type != "cpu" or waveform.dtype != torch.float32 or waveform.requires_grad:
            return self.magnitude_to_mel_db(self.magnitude(self.stft(waveform)))
        frames = self._padded(waveform).unfold(-1, self.n_fft, self.hop_length)
        window, groups = _window(self, waveform.device), _block_filter_bank(self)
        return self._db(
            torch.stack([mel_magnitudes(f, window, self.magnitude_epsilon, groups) for f in frames])
        )

    def db_to_mel(self, mel_db: Tensor) -> Tensor:
        """dB back to linear mel magnitude, same shape."""
        return (mel_db * NEPER_PER_DB).exp()  # `torch.pow` takes ten times as long on a CPU

    def range_db(self, mel_db: Tensor) -> tuple[float, float]:
        """The dB values that become -1 and 1: the fixed range, or this clip's extremes (`scaling: clip`)."""
        if self.scaling == "fixed":
            return self.min_db, self.max_db
        low, high = float(mel_db.min()), float(mel_db.max())
        return low, max(high, low + 1.0)  # a clip without any contrast keeps a range of 1 dB

    def normalise(self, mel_db: Tensor, range_db: tuple[float, float] | None = None) -> Tensor:
        """dB to [-1, 1]; `range_db` defaults to `self.range_db(mel_db)`; values outside are clipped."""
        low, high = range_db or self.range_db(mel_db)
        return ((mel_db - low) * (2 / (high - low)) - 1).clamp(-1, 1)

    def denormalise(self, mel: Tensor, range_db: tuple[float, float] | None = None) -> Tensor:
        """[-1, 1] back to dB. `range_db` may be left out only with a fixed range."""
        if range_db is None:
            if self.scaling == "clip":
                raise ValueError("a mel scaled per clip needs its clip's range_db to go back to dB")
            range_db = (self.min_db, self.max_db)
        low, high = range_db
        return (mel + 1) * ((high - low) / 2) + low


@lru_cache(maxsize=16)
def _window(settings: MelSpectrogram, device: torch.device) -> Tensor:
    make = torch.hann_window if settings.window == "hann" else torch.hamming_window
    return make(settings.n_fft, device=device)


@lru_cache(maxsize=16)
def _filters(settings: MelSpectrogram, device: torch.device) -> Tensor:
    s = settings
    if s.filters == "zaf":
        return zaf_filters(s.sample_rate, s.n_fft, s.n_mels).to(device)
    return slaney_filters(s.sample_rate, s.n_fft, s.n_mels, s.f_min_hz, s.f_max_hz).to(device)


@lru_cache(maxsize=16)
def _block_filter_bank(settings: MelSpectrogram) -> BlockFilterBank:
    return block_filter_bank(_filters(settings, torch.device("cpu")))


@lru_cache(maxsize=8)
def _synthesis(
    settings: MelSpectrogram, n_frames: int, smooth: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The window of synthesis and the overlap-added products of both (1, padded length), kept from zero."""
    window = synthesis = _window(settings, device)
    if smooth and settings.window == "hamming":
        synthesis = torch.hann_window(settings.n_fft, device=device) / window
    window = window.expand(1, n_frames, -1)
    return synthesis, _overlap_add(window, synthesis, settings.hop_length).clamp_min(1e-3)


def _overlap_add(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Frames (B, F, n_fft) times a window, laid over each other: (B, (F - 1) * hop_length + n_fft).

    Sums of whole blocks of one step; `F.fold` gives the same bits and takes several times as long on a CPU.
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
