"""Voices: the network of silero-vad (MIT, ships in its wheel), run on whole clips at once.

The weights are read from the model in the wheel (the safetensors beside it hold other ones); the package
itself is never imported, since that changes torch's number of threads. Its `tinygrad_model.py` states the
network. All frames go through the convolutions together: a tenth of the streaming model's cost, and the same
numbers.
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

RATE = 16000
STEP, CONTEXT = 512, 64  # samples that one probability stands for, and samples seen before them
N_FFT, HOP = 1024, 256  # of the spectrum in which standing sound is taken away
TINY = 1e-9
MAX_GAIN = 4.0  # 12 dB
FLOOR = 1e-4  # under the logarithm
MODEL = Path("data") / "silero_vad.jit"
PARTS = {  # our names for those of the model in the wheel
    "stft_conv.weight": "stft.forward_basis_buffer",
    **{
        f"conv{n + 1}.{kind}": f"encoder.{n}.reparam_conv.{kind}"
        for n in range(4)
        for kind in ("weight", "bias")
    },
    **{f"lstm.{n}_l0": f"decoder.rnn.{n}" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    **{f"final_conv.{kind}": f"decoder.decoder.2.{kind}" for kind in ("weight", "bias")},
}
EXTRA = (
    "screening.voice.enabled=true needs silero-vad; run: pip install 'cyclegan_audio[voice]' "
    "(or set screening.voice.enabled=false)"
)


@dataclasses.dataclass(frozen=True)
class VoiceActivity:
    """Words, spoken, rapped or sung.

    Attributes:
        enabled: true, false, or auto: true where the extra `voice` is installed. What it came to is kept in
            corpus.json, and a corpus made with the rule never takes in files screened without it.
        mean_probability: clips with a higher geometric mean of their frames' probabilities have voice. It is
            low because over music the network stays near zero, and rises a little with a voice.
        level_lufs: clips are brought to this loudness first.
    """

    reason = "voice"
    enabled: bool | Literal["auto"] = "auto"
    mean_probability: float = 0.025
    level_lufs: float = -23.0

    def __post_init__(self) -> None:
        if self.enabled == "auto":
            object.__setattr__(self, "enabled", model_file() is not None)
        if self.enabled and model_file() is None:
            raise UserError(EXTRA)

    def rejects(self, mono: Tensor, rate: int, loudness_lufs: float) -> bool:
        """Whether a clip (T,) of this loudness has voice."""
        return mean_probability(mono, rate, self.level_lufs - loudness_lufs) > self.mean_probability


def mean_probability(mono: Tensor, rate: int, gain_db: float) -> float:
    """Geometric mean over a clip's (T,) frames of the probability of voice, after `gain_db`.

    What stands still in the clip is taken away first, which finds most voices 6 dB under the music that the
    network alone would miss (experiments/002_data).
    """
    voiced = without_sustained(torchaudio_functional().resample(mono * 10 ** (gain_db / 20), rate, RATE))
    return float((voice_probabilities(voiced[None]) + FLOOR).log().mean().exp())


def without_sustained(waveform: Tensor) -> Tensor:
    """Take from each bin of the STFT of a clip (T,) its median magnitude over time; the level stays.

    Where next to nothing is left, of a drone, it is not brought up to the level of a voice.
    """
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(waveform, N_FFT, HOP, window=window, return_complex=True)
    magnitude = spectrum.abs()
    rest = (magnitude - magnitude.median(1, keepdim=True).values).clamp_min_(0)
    out = torch.istft(spectrum * (rest / (magnitude + TINY)), N_FFT, HOP, window=window, length=len(waveform))
    return out * (waveform.square().mean() / (out.square().mean() + TINY)).sqrt().clamp(max=MAX_GAIN)


def voice_probabilities(waveforms: Tensor) -> Tensor:
    """Probability of voice of each 32 ms: (B, T) at 16 kHz to (B, ceil(T / 512)).

    The same as the streaming model gives from a fresh state; the last frame is filled up with zeros.
    """
    n_frames = -(-waveforms.shape[-1] // STEP)
    padded = F.pad(waveforms, (CONTEXT, n_frames * STEP - waveforms.shape[-1]))
    with torch.inference_mode():
        return _network()(padded.unfold(-1, STEP + CONTEXT, STEP))


def model_file() -> Path | None:
    """Where the extra `voice` has put the weights; None where it is not installed."""
    spec = importlib.util.find_spec("silero_vad")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((Path(folder) / MODEL for folder in folders if (Path(folder) / MODEL).is_file()), None)


class _Network(torch.nn.Module):
    """Frames (B, N, 576) to probabilities (B, N)."""

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
        x = F.pad(frames.flatten(0, 1), (0, CONTEXT), mode="reflect")
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
        raise UserError(EXTRA)
    parts = torch.jit.load(path, map_location="cpu").state_dict()
    network = _Network().eval()
    network.load_state_dict({name: parts[f"_model.{part}"] for name, part in PARTS.items()})
    return network
