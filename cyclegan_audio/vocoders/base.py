"""Define the vocoder protocol and its input, and build a vocoder by its name in `conf/vocoder`."""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import CONF_DIR, build
from cyclegan_audio.utils.errors import UserError, shortened
from cyclegan_audio.utils.fields import Range

_FOLDER = CONF_DIR / "vocoder"
Iterations = Annotated[int, Range(0, 10_000)]
Seed = Annotated[int, Range(0, (1 << 63) - 1)]
VOCODERS = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@dataclass(frozen=True, eq=False)
class VocoderInput:
    """The mel to turn into a waveform, and the source that it was translated from.

    Attributes:
        target_db: the mel to reach, (B, n_mels, F) in dB, with F = mel.n_frames(n_samples).
        mel: the definition of this mel.
        n_samples: length of the waveform at mel.sample_rate.
        source: the untranslated waveform (B, n_samples), for vocoders that modify it; None if there is none.
        source_db: the mel of `source`, (B, n_mels, F) in dB; None if it has not been computed.
    """

    target_db: Tensor
    mel: MelSpectrogram
    n_samples: int
    source: Tensor | None = None
    source_db: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """The mel to reach as linear magnitude, (B, n_mels, F)."""
        return self.mel.db_to_mel(self.target_db)


@runtime_checkable
class Vocoder(Protocol):
    """A vocoder: turns a mel into a waveform.

    A file in `conf/vocoder` names the class by `_target_` and gives its arguments. If it has the key
    `checkpoint`, users can choose weights by NAME=CHECKPOINT.
    """

    def check(self, mel: MelSpectrogram) -> None:
        """Check that the vocoder supports a mel and load its weights, before any work; the default is empty.

        Args:
            mel: the definition of the mels to come.

        Raises:
            UserError: the vocoder needs another mel, or its weights cannot be loaded.
        """

    def __call__(self, inputs: VocoderInput) -> Tensor:
        """Compute a waveform whose mel is `inputs.target_db`.

        Returns:
            (B, n_samples), float32, full scale at 1, on the device of the mel.

        Raises:
            ValueError: the vocoder needs a source, and there is none.
        """
        ...


def check_vocoder(key: str, vocoder: object) -> None:
    """Check that the value of a setting is a vocoder.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(vocoder, Vocoder):
        raise UserError(f"{key} must be a vocoder, got {shortened(vocoder)}; give another")


def make_vocoder(name: str, **arguments: Any) -> Vocoder:
    """Build a vocoder of `conf/vocoder`; `arguments` override those of its file.

    `NAME=CHECKPOINT` also chooses the weights of a neural vocoder.

    Raises:
        UserError: there is no such vocoder, or it has no checkpoint.
    """
    name, equals, checkpoint = name.partition("=")
    if name not in VOCODERS:
        raise UserError(f"unknown vocoder {name!r}; use one of {', '.join(VOCODERS)}")
    config = OmegaConf.load(_FOLDER / f"{name}.yaml")
    assert isinstance(config, DictConfig)
    if equals:
        if "checkpoint" not in config:
            raise UserError(f"the vocoder {name} has no checkpoint; write {name} alone")
        arguments["checkpoint"] = checkpoint
    return build(f"vocoder {name}", config, **arguments)
