"""Turn a mel into a waveform by a trained Vocos network: the network, its checkpoint, and the vocoder."""

import dataclasses
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.torchaudio_functional import torchaudio_functional
from cyclegan_audio.inference.checkpoints import read_checkpoint, resolve_run
from cyclegan_audio.inference.metadata import naming
from cyclegan_audio.inference.weights import build_on_meta, check_tensors, check_weights
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.fields import check_fields
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.vocoders.base import Iterations, Vocoder, VocoderInput
from cyclegan_audio.vocoders.hybrid import steady_phase
from cyclegan_audio.vocoders.mel_inversion import mel_consistent_waveform, mel_to_magnitude

MAX_LOG_GAIN = 3.0  # 26 dB: how far a bin may be from the smooth magnitude


class VocosNetwork(nn.Module):
    """A network after Vocos (Siuzdak 2023, arXiv 2306.00814, section 3): mel to complex STFT to waveform.

    The backbone is the published one (ConvNeXt blocks, one vector per frame). The head differs: it predicts a
    gain for each bin on a smooth magnitude that has the given mel, and a phase relative to that of a steady
    tone at the bin's centre. An untrained network therefore sounds dull, but already has the mel. The ISTFT
    is `MelSpectrogram.istft`, so any definition of a mel works.

    Args:
        mel: the definition of its input.
        dim: width of the backbone.
        intermediate_dim: width inside its blocks.
        n_blocks: number of ConvNeXt blocks.
        magnitude_iterations: updates from mel to the smooth magnitude (see `mel_to_magnitude`).

    Raises:
        UserError: the package `vocos` is not installed.
    """

    def __init__(
        self, mel: MelSpectrogram, dim: int, intermediate_dim: int, n_blocks: int, magnitude_iterations: int
    ) -> None:
        super().__init__()
        self.mel = mel
        self.magnitude_iterations = magnitude_iterations
        self.backbone = import_vocos("models.VocosBackbone")(mel.n_mels, dim, intermediate_dim, n_blocks)
        self.head = nn.Linear(dim, 2 * (mel.n_fft // 2 + 1))
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def spectrum(self, mel_db: Tensor) -> Tensor:
        """Predict the complex STFT (B, n_fft // 2 + 1, F) of a mel (B, n_mels, F) in dB."""
        scaled = self.mel.normalise(mel_db, (self.mel.min_db, self.mel.max_db))
        features = self.head(self.backbone(scaled)).transpose(1, 2).float()
        log_gain, phase_offset = features.chunk(2, dim=1)
        with torch.no_grad(), torch.autocast(mel_db.device.type, enabled=False):
            smooth = mel_to_magnitude(self.mel.db_to_mel(mel_db), self.mel, self.magnitude_iterations)
        magnitude = smooth * torch.exp(MAX_LOG_GAIN * torch.tanh(log_gain / MAX_LOG_GAIN))
        return torch.polar(magnitude, phase_offset + steady_phase(smooth, self.mel))

    def forward(self, mel_db: Tensor, n_samples: int) -> Tensor:
        """Compute the waveform (B, n_samples) of a mel (B, n_mels, F) in dB."""
        return self.mel.istft(self.spectrum(mel_db), n_samples)


def import_vocos(name: str) -> type[nn.Module]:
    """Import a class of the published package `vocos`, named by module and class.

    Raises:
        UserError: the package is not installed, or torchaudio does not load.
    """
    module, _, class_name = name.rpartition(".")
    torchaudio_functional()  # the package imports torchaudio
    try:
        return getattr(import_module(f"vocos.{module}"), class_name)
    except ImportError as error:
        raise UserError(
            "the vocoder vocos needs the package vocos; run: pip install 'cyclegan-audio[vocos]'"
        ) from error


@dataclasses.dataclass(frozen=True)
class VocosVocoder(Vocoder):
    """The Vocos vocoder: a trained network predicts the STFT, then rounds of mel consistency.

    Args:
        checkpoint: run folder or `.ckpt` file of `python -m cyclegan_audio.train_vocoder`.
        rounds: rounds of mel consistency; 0 only corrects the magnitudes once.
        momentum: momentum of the rounds, see `mel_consistent_waveform`.
    """

    checkpoint: str | None
    rounds: Iterations
    momentum: float

    def __post_init__(self) -> None:
        check_fields(self, "vocoder")

    def check(self, mel: MelSpectrogram) -> None:
        """Load the network.

        Raises:
            UserError: no checkpoint is given, it was trained on another mel, or it cannot be loaded.
        """
        self._network(mel, torch.device("cpu"))

    def _network(self, mel: MelSpectrogram, device: torch.device) -> VocosNetwork:
        if not self.checkpoint:
            raise UserError(
                "vocos needs a trained vocoder; give one with vocos=RUN, or train one with "
                f"{command_line('train_vocoder', 'corpus=CORPUS')}"
            )
        path = resolve_run(self.checkpoint)
        network = _load_cached(path, path.stat().st_mtime_ns, device)
        network.mel.check_compatible(mel, f"the vocoder {self.checkpoint}", "the mels of this model")
        return network

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Compute the waveform (B, n_samples) from the mel alone."""
        network = self._network(inputs.mel, inputs.target_db.device)
        return mel_consistent_waveform(
            network.spectrum(inputs.target_db),
            inputs.target,
            inputs.mel,
            inputs.n_samples,
            self.rounds,
            self.momentum,
        )


@lru_cache(maxsize=2)
def _load_cached(path: Path, modified_ns: int, device: torch.device) -> VocosNetwork:
    return load_network(path).to(device)


def load_network(path: Path) -> VocosNetwork:
    """Load the network of a vocoder's checkpoint, in eval mode.

    Raises:
        UserError: the file is damaged or not a vocoder's checkpoint, or its weights do not fit its config.
    """
    content = read_checkpoint(path)
    metadata, state = content["cyclegan_audio"], content.get("state_dict", {})
    weights = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
    with naming(path):
        if not weights:
            raise UserError(
                "it is not a vocoder's checkpoint; give one that cyclegan-audio train_vocoder wrote"
            )
        try:
            mel = MelSpectrogram.from_dict(metadata["mel"])
            settings = dict(metadata["config"]["model"]["network"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("it is not a vocoder's checkpoint") from error
        build = partial(VocosNetwork, mel)
        arguments = {key: value for key, value in settings.items() if not str(key).startswith("_")}
        check_tensors(weights, path.stat().st_size)
        check_weights(weights, build_on_meta("config.model.network", build, arguments))
        network = build(**arguments)
    network.load_state_dict(weights)
    return network.eval()
