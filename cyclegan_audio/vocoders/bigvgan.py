"""Load a published BigVGAN-v2 and turn a mel into a waveform with it: vocoder, checkpoint and network."""

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.audio.mel import NEPER_PER_DB, MelSpectrogram
from cyclegan_audio.inference.hub import download_file
from cyclegan_audio.inference.metadata import MAX_TEXT_BYTES
from cyclegan_audio.inference.weights import (
    MAX_FILE_BYTES,
    build_on_meta,
    check_archive,
    check_tensors,
    check_weights,
)
from cyclegan_audio.utils.errors import UserError, error_reason, shortened
from cyclegan_audio.utils.fields import check_fields
from cyclegan_audio.utils.regular_files import check_file
from cyclegan_audio.vocoders.base import Vocoder, VocoderInput

CONFIG = "config.json"
WEIGHTS = "bigvgan_generator.pt"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # OWNER/MODEL on a model hub
RATIO = 2  # activations run at twice the sample rate
TAPS = 12  # length of the up- and downsampling filters


@dataclasses.dataclass(frozen=True)
class BigVGANVocoder(Vocoder):
    """The BigVGAN vocoder: a published network computes the waveform from the mel alone.

    Args:
        checkpoint: a folder with `config.json` and `bigvgan_generator.pt`, the latter file, or OWNER/MODEL,
            which is downloaded from the public model hub on first use.
    """

    checkpoint: str | None

    def __post_init__(self) -> None:
        check_fields(self, "vocoder")

    def check(self, mel: MelSpectrogram) -> None:
        """Load the network.

        Raises:
            UserError: there is no checkpoint, it was trained on another mel, or it cannot be loaded.
        """
        self._network(mel, torch.device("cpu"))

    def _network(self, mel: MelSpectrogram, device: torch.device) -> "BigVGAN":
        if not self.checkpoint:
            raise UserError(
                "bigvgan needs a published checkpoint; give bigvgan=FOLDER or bigvgan=OWNER/MODEL"
            )
        return _load_cached(self.checkpoint, mel, device)

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Compute the waveform (B, n_samples) from the mel alone."""
        network = self._network(inputs.mel, inputs.target_db.device)
        waveform = network(inputs.target_db * NEPER_PER_DB)[:, : inputs.n_samples]
        return F.pad(waveform, (0, inputs.n_samples - waveform.shape[-1]))


@lru_cache(maxsize=2)
def _load_cached(checkpoint: str, mel: MelSpectrogram, device: torch.device) -> "BigVGAN":
    config_path, weights_path = locate_checkpoint(checkpoint)
    config = read_config(config_path)
    check_mel(config, mel, checkpoint)
    return load_network(config, weights_path).to(device)


def locate_checkpoint(checkpoint: str) -> tuple[Path, Path]:
    """Return the paths of a checkpoint's config and weights; OWNER/MODEL is downloaded once.

    Args:
        checkpoint: a folder, a `.pt` file beside `config.json`, or OWNER/MODEL if no such file exists.

    Raises:
        UserError: there is no such checkpoint.
    """
    path = Path(checkpoint)
    config, weights = (path / CONFIG, path / WEIGHTS) if path.is_dir() else (path.with_name(CONFIG), path)
    if config.is_file() and weights.is_file():
        return config, weights
    if path.exists() or not _NAME.fullmatch(checkpoint):
        raise UserError(
            f"{checkpoint} is not a BigVGAN; give a folder with {CONFIG} and {WEIGHTS}, or OWNER/MODEL"
        )
    return download_file(checkpoint, CONFIG), download_file(checkpoint, WEIGHTS)


def read_config(path: Path) -> dict[str, Any]:
    """Read a checkpoint's config.

    Raises:
        UserError: it cannot be read, or describes another kind of network.
    """
    try:
        check_file(path, MAX_TEXT_BYTES)
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = str(config["resblock"]), config["activation"], bool(config["snake_logscale"])
        whole_window = config["win_size"] == config["n_fft"]
    except (UserError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is not the config of a BigVGAN ({shortened(error)}); download the model again"
        ) from error
    if kind != ("1", "snakebeta", True) or not whole_window:
        raise UserError(f"{path} does not describe a BigVGAN-v2; use a checkpoint of version 2")
    return config


def check_mel(config: dict[str, Any], mel: MelSpectrogram, name: str) -> None:
    """Check that `mel` is the one on which the checkpoint was trained.

    That is `mel_spectrogram` of the published code: Slaney's triangles on sqrt(|STFT|^2 + 1e-9), a periodic
    Hann window, reflection by (n_fft - hop) / 2, natural logarithm above 1e-5.

    Raises:
        UserError: the mels differ; the message shows both values of each setting.
    """
    try:
        trained_mel = dataclasses.replace(
            mel,
            sample_rate=config["sampling_rate"],
            n_fft=config["n_fft"],
            hop_length=config["hop_size"],
            window="hann",
            n_mels=config["num_mels"],
            filters="slaney",
            f_min_hz=float(config["fmin"]),
            f_max_hz=float(config["fmax"] or config["sampling_rate"] / 2),
            padding="reflect",
            magnitude_epsilon=1e-9,
            floor=1e-5,
        )
    except (UserError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{CONFIG} of the vocoder {name} describes no mel ({error}); download the model again"
        ) from error
    trained_mel.check_compatible(mel, f"the vocoder {name}", "the mels of this model")


def load_network(config: dict[str, Any], path: Path) -> "BigVGAN":
    """Load the network with its weights, in eval mode, without running any code in the file.

    Raises:
        UserError: the file is damaged, not a BigVGAN, or does not fit the config.
    """
    try:
        check_file(path, MAX_FILE_BYTES)
        check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)["generator"]
        check_tensors(state, path.stat().st_size)
        weights = fold_weight_norm(state)
        arguments = {
            "n_mels": config["num_mels"],
            "rates": config["upsample_rates"],
            "kernel_sizes": config["upsample_kernel_sizes"],
            "n_channels": config["upsample_initial_channel"],
            "block_kernel_sizes": config["resblock_kernel_sizes"],
            "block_dilations": config["resblock_dilation_sizes"],
            "tanh": config.get("use_tanh_at_final", True),
            "final_bias": config.get("use_bias_at_final", True),
        }
        network = build_on_meta(CONFIG, BigVGAN, arguments)
        check_weights(weights, network)
        network(torch.empty(1, arguments["n_mels"], 8, device="meta"))
        network = BigVGAN(**arguments)
        network.load_state_dict(weights)
    except Exception as error:  # damaged bytes raise almost anything
        raise UserError(
            f"{path} cannot be read as a BigVGAN checkpoint ({error_reason(error)}); download it again"
        ) from error
    return network.eval()


def fold_weight_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replace `weight_g` and `weight_v` by `weight` = v g / |v|, the norm over all axes but the first."""
    folded = {}
    for name, value in state.items():
        if name.endswith(".weight_v"):
            gain = state[name.removesuffix("v") + "g"]
            norm = torch.linalg.vector_norm(value, dim=tuple(range(1, value.ndim)), keepdim=True)
            folded[name.removesuffix("_v")] = value * (gain / norm)
        elif not name.endswith(".weight_g"):
            folded[name] = value
    return folded


class SnakeBeta(nn.Module):
    """The activation x + sin^2(alpha x) / beta of (B, C, T); alpha and beta by channel, as logarithms."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(n_channels))
        self.beta = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha, beta = (value.exp()[:, None] for value in (self.alpha, self.beta))
        return x + torch.sin(x * alpha).square() / (beta + 1e-9)


def low_pass_filter(ratio: int = RATIO, taps: int = TAPS) -> Tensor:
    """Design a low-pass filter (1, 1, taps) with its cutoff at 1 / ratio of the Nyquist frequency; sums to 1.

    A Kaiser-windowed sinc for a transition width of 0.6 / ratio (Karras et al. 2021, appendix C.1).
    """
    attenuation = 2.285 * (taps // 2 - 1) * math.pi * 4 * 0.6 / ratio + 7.95
    beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)  # for 21 to 50 dB
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    position = torch.arange(-(taps // 2), taps // 2) + 0.5
    window = torch.kaiser_window(taps, periodic=False, beta=beta)
    kernel = window * torch.sinc(position / ratio)
    return (kernel / kernel.sum()).view(1, 1, taps)


class Upsample(nn.Module):
    """Upsampling of (B, C, T) to (B, C, 2 T) by the low-pass filter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", low_pass_filter())

    def forward(self, x: Tensor) -> Tensor:
        n_channels, pad = x.shape[1], TAPS // RATIO - 1
        kernel = self.get_buffer("filter").expand(n_channels, -1, -1)
        padded = F.pad(x, (pad, pad), mode="replicate")
        out = RATIO * F.conv_transpose1d(padded, kernel, stride=RATIO, groups=n_channels)
        cut = pad * RATIO + (TAPS - RATIO) // 2
        return out[..., cut : out.shape[-1] - cut]


class LowPass(nn.Module):
    """Downsampling of (B, C, 2 T) to (B, C, T): filter, then keep every second sample."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", low_pass_filter())

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (TAPS // 2 - 1, TAPS // 2), mode="replicate")
        kernel = self.get_buffer("filter").expand(x.shape[1], -1, -1)
        return F.conv1d(padded, kernel, stride=RATIO, groups=x.shape[1])


class Downsample(nn.Module):
    """A wrapper that gives the filter the name that it has in checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = LowPass()

    def forward(self, x: Tensor) -> Tensor:
        return self.lowpass(x)


class Activation(nn.Module):
    """Snake at twice the sample rate, which avoids aliasing of its harmonics (BigVGAN, section 3.3)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.act, self.upsample, self.downsample = SnakeBeta(n_channels), Upsample(), Downsample()

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(self.act(self.upsample(x)))


class AMPBlock(nn.Module):
    """Residual pairs of dilated and plain convolutions, each after an activation; (B, C, T)."""

    def __init__(self, n_channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(n_channels, n_channels, kernel_size, dilation=dilation, padding="same")

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
        self.activations = nn.ModuleList(Activation(n_channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.convs1, self.convs2, self.activations[::2], self.activations[1::2], strict=True)
        for dilated, plain, first, second in pairs:
            x = x + plain(second(dilated(first(x))))
        return x


class BigVGAN(nn.Module):
    """The BigVGAN generator (Lee et al. 2023, arXiv 2206.04658) as version 2 configures it, for inference.

    Input: natural-log mel (B, n_mels, F); output: waveform (B, F * product of `rates`). Modules have the
    names of the published checkpoints, whose weight norm is folded into plain weights.

    Args:
        n_mels: number of mel bands.
        rates: upsampling factor of each stage; each stage halves the channels.
        kernel_sizes: kernel sizes of the upsampling of each stage.
        n_channels: channels before the first stage.
        block_kernel_sizes: kernel sizes of the blocks that a stage averages.
        block_dilations: dilations of the convolution pairs of each block.
        tanh: whether tanh bounds the waveform; otherwise it is clipped.
        final_bias: whether the last convolution has a bias.
    """

    def __init__(
        self,
        n_mels: int,
        rates: Sequence[int],
        kernel_sizes: Sequence[int],
        n_channels: int,
        block_kernel_sizes: Sequence[int],
        block_dilations: Sequence[Sequence[int]],
        tanh: bool,
        final_bias: bool,
    ) -> None:
        super().__init__()
        self.n_blocks, self.tanh = len(block_kernel_sizes), tanh
        self.conv_pre = nn.Conv1d(n_mels, n_channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for rate, kernel_size in zip(rates, kernel_sizes, strict=True):
            up = nn.ConvTranspose1d(
                n_channels, n_channels // 2, kernel_size, rate, padding=(kernel_size - rate) // 2
            )
            n_channels //= 2
            self.ups.append(nn.ModuleList([up]))
            for size, dilations in zip(block_kernel_sizes, block_dilations, strict=True):
                self.resblocks.append(AMPBlock(n_channels, size, dilations))
        self.activation_post = Activation(n_channels)
        self.conv_post = nn.Conv1d(n_channels, 1, 7, padding=3, bias=final_bias)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        for stage, up in enumerate(self.ups):
            x = up[0](x)  # type: ignore[index]
            blocks = self.resblocks[stage * self.n_blocks : (stage + 1) * self.n_blocks]
            x = torch.stack([block(x) for block in blocks]).mean(0)
        x = self.conv_post(self.activation_post(x))[:, 0]
        return torch.tanh(x) if self.tanh else x.clamp(-1, 1)
