"""Neural: a vocoder trained by `python -m cyclegan_audio.train_vocoder`."""

import dataclasses
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.inference.checkpoints import read_checkpoint, resolve_run
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import command_line
from cyclegan_audio.vocoders.base import Vocoder, VocoderInput, mel_consistent
from cyclegan_audio.vocoders.vocos.network import VocosNetwork


@dataclasses.dataclass(frozen=True)
class VocosVocoder(Vocoder):
    """The trained network makes a spectrum, rounds of mel consistency hold it to the mel.

    Args:
        checkpoint: run folder or `.ckpt` file of `python -m cyclegan_audio.train_vocoder`.
        rounds: of mel consistency; 0 only corrects the magnitudes once.
        momentum: how far a round goes beyond its own result, in the direction it went.
    """

    checkpoint: str | None
    rounds: int
    momentum: float

    def check(self, mel: MelSpectrogram) -> None:
        """Load the network.

        Raises:
            UserError: none is named, it was made for another mel, or it cannot be loaded.
        """
        self._network(mel, torch.device("cpu"))

    def _network(self, mel: MelSpectrogram, device: torch.device) -> VocosNetwork:
        if not self.checkpoint:
            raise UserError(
                "vocos needs a trained vocoder: name one by vocos=RUN, or train one by "
                f"{command_line('train_vocoder', 'corpus=CORPUS')}"
            )
        path = resolve_run(self.checkpoint)
        network = _loaded(path, path.stat().st_mtime_ns, device)
        network.mel.check_compatible(mel, f"the vocoder {self.checkpoint}", "the mels of this model")
        return network

    @torch.no_grad()
    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Make sound from the mel alone; returns (B, n_samples)."""
        network = self._network(inputs.mel, inputs.target_db.device)
        return mel_consistent(
            network.spectrum(inputs.target_db),
            inputs.target,
            inputs.mel,
            inputs.n_samples,
            self.rounds,
            self.momentum,
        )


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int, device: torch.device) -> VocosNetwork:
    return load_network(path).to(device)


def load_network(path: Path) -> VocosNetwork:
    """The network of a vocoder's checkpoint, in eval mode.

    Raises:
        UserError: damaged, of another kind, or of another shape than it says.
    """
    content = read_checkpoint(path)
    card, state = content["cyclegan_audio"], content.get("state_dict", {})
    try:
        numbers = card["config"]["model"]["network"]
        network = VocosNetwork(
            MelSpectrogram.from_dict(card["mel"]),
            **{k: v for k, v in numbers.items() if not k.startswith("_")},
        )
        own = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
        network.load_state_dict(own)
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{path} is not a vocoder's checkpoint, or is damaged; "
            "name one that cyclegan-audio train_vocoder wrote"
        ) from error
    return network.eval()
