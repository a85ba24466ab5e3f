"""Detect voices with the network of silero-vad (MIT, part of its wheel), on whole clips at once.

The weights come from the model in the wheel (the safetensors file beside it has others); the package itself
is never imported, since that changes torch's number of threads. The network follows its `tinygrad_model.py`.
All frames pass the convolutions together, at a tenth of the streaming model's cost, with the same result.
"""

import dataclasses
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.utils.errors import UserError

SAMPLE_RATE = 16000
FRAME_SAMPLES, CONTEXT_SAMPLES = 512, 64  # samples per probability, and samples of context before them
N_FFT, HOP = 1024, 256  # of the spectrum in which sustained sound is suppressed
EPSILON = 1e-9
MAX_GAIN = 4.0  # 12 dB
PROBABILITY_FLOOR = 1e-4  # added before the logarithm
MODEL = Path("data") / "silero_vad.jit"
WEIGHT_NAMES = {  # name here: name in the wheel's model
    "stft_conv.weight": "stft.forward_basis_buffer",
    **{
        f"conv{n + 1}.{kind}": f"encoder.{n}.reparam_conv.{kind}"
        for n in range(4)
        for kind in ("weight", "bias")
    },
    **{f"lstm.{n}_l0": f"decoder.rnn.{n}" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    **{f"final_conv.{kind}": f"decoder.decoder.2.{kind}" for kind in ("weight", "bias")},
}
MISSING_EXTRA = (
    "screening.voice.enabled=true needs silero-vad; run: pip install 'cyclegan_audio[voice]' "
    "(or set screening.voice.enabled=false)"
)


@dataclasses.dataclass(frozen=True)
class VoiceActivity:
    """Rejects clips with words, spoken, rapped or sung.

    Attributes:
        enabled: true, false, or auto: true if the extra `voice` is installed. corpus.json stores the result,
            and a corpus never mixes files screened with and without the rule.
        mean_probability: clips with a higher geometric mean of frame probabilities have voice. The threshold
            is low since over music the network stays near zero, and rises little with a voice.
        level_lufs: clips are normalised to this loudness first.
    """

    reason = "voice"
    enabled: bool | Literal["auto"] = "auto"
    mean_probability: float = 0.025
    level_lufs: float = -23.0

    def __post_init__(self) -> None:
        if self.enabled == "auto":
            object.__setattr__(self, "enabled", model_file() is not None)
        if self.enabled and model_file() is None:
            raise UserError(MISSING_EXTRA)

    def rejects(self, mono: Tensor, rate: int, loudness_lufs: float) -> bool:
        """Return whether a clip (T,) of this loudness has voice."""
        return mean_probability(mono, rate, self.level_lufs - loudness_lufs) > self.mean_probability


def mean_probability(mono: Tensor, rate: int, gain_db: float) -> float:
    """Return the geometric mean over a clip's (T,) frames of the probability of voice, after `gain_db`.

    Sustained sound is suppressed first, which detects most voices 6 dB below the music that the network alone
    would miss (experiments/002_data).
    """
    voiced = suppress_sustained(
        torchaudio_functional().resample(mono * 10 ** (gain_db / 20), rate, SAMPLE_RATE)
    )
    return float((voice_probabilities(voiced[None]) + PROBABILITY_FLOOR).log().mean().exp())


def suppress_sustained(waveform: Tensor) -> Tensor:
    """Subtract the median magnitude over time from each STFT bin of a clip (T,), and restore the level.

    The gain is limited, so that the residual of a drone does not reach the level of a voice.
    """
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(waveform, N_FFT, HOP, window=window, return_complex=True)
    magnitude = spectrum.abs()
    residual = (magnitude - magnitude.median(1, keepdim=True).values).clamp_min_(0)
    out = torch.istft(
        spectrum * (residual / (magnitude + EPSILON)), N_FFT, HOP, window=window, length=len(waveform)
    )
    return out * (waveform.square().mean() / (out.square().mean() + EPSILON)).sqrt().clamp(max=MAX_GAIN)


def voice_probabilities(waveforms: Tensor) -> Tensor:
    """Return the probability of voice of each 32 ms: (B, T) at 16 kHz to (B, ceil(T / 512)).

    Equal to the streaming model from a fresh state; the last frame is padded with zeros.
    """
    n_frames = -(-waveforms.shape[-1] // FRAME_SAMPLES)
    padded = F.pad(waveforms, (CONTEXT_SAMPLES, n_frames * FRAME_SAMPLES - waveforms.shape[-1]))
    with torch.inference_mode():
        return _network()(padded.unfold(-1, FRAME_SAMPLES + CONTEXT_SAMPLES, FRAME_SAMPLES))


def model_file() -> Path | None:
    """Return the path of the weights of the extra `voice`; None if it is not installed."""
    spec = importlib.util.find_spec("silero_vad")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((Path(folder) / MODEL for folder in folders if (Path(folder) / MODEL).is_file()), None)


class _Network(torch.nn.Module):
    """The network of silero-vad: frames (B, N, 576) to probabilities (B, N)."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = torch.nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = torch.nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = torch.nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = torch.nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = torch.nn.LSTM(128, 128, batch_first=True)
        self.final_conv = torch.nn.Conv1d(128, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        batch, count, _ = frames.shape
        x = F.pad(frames.flatten(0, 1), (0, CONTEXT_SAMPLES), mode="reflect")
        real, imaginary = self.stft_conv(x[:, None]).chunk(2, 1)
        x = (real.square() + imaginary.square()).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu_()
        hidden, _ = self.lstm(x.view(batch, count, -1))
        return self.final_conv(hidden.relu().transpose(1, 2))[:, 0].sigmoid()


@lru_cache(maxsize=1)
def _network() -> _Network:
    path = model_file()
    if path is None:
        raise UserError(MISSING_EXTRA)
    parts = torch.jit.load(path, map_location="cpu").state_dict()
    network = _Network().eval()
    network.load_state_dict({name: parts[f"_model.{part}"] for name, part in WEIGHT_NAMES.items()})
    return network
