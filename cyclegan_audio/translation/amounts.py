"""Amount of a translation: the share of the change that is applied, for drums and for the rest."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from cyclegan_audio.utils.errors import UserError, check_number

if TYPE_CHECKING:
    from torch import Tensor

    from cyclegan_audio.audio.mel import MelSpectrogram

HARMONIC_S = 0.36  # length of the median over time
PERCUSSIVE_SHARE = 17 / 128  # of the bands, over which the other median goes
HARMONIC_WEIGHT = 0.6  # of the harmonic part against the percussive one; below 1, doubt counts as drums


@dataclass(frozen=True)
class Amount:
    """Shares of the change in dB that are applied, from 0 (the source) to 1.

    Attributes:
        drums: share where source or translation are percussive.
        rest: share elsewhere.
    """

    drums: float = 1.0
    rest: float = 1.0

    def __post_init__(self) -> None:
        check_number("amount drums", self.drums, 0, 1)
        check_number("amount rest", self.rest, 0, 1)

    @classmethod
    def parse(cls, text: str) -> "Amount":
        """Parse `drums=1,rest=0.3`; what is not named is 1.

        Raises:
            UserError: another name, not a number, or out of range.
        """
        shares: dict[str, float] = {}
        names = [field.name for field in fields(cls)]
        for part in text.split(","):
            name, _, share = part.strip().partition("=")
            if name not in names:
                raise UserError(f"there is no amount of {name!r}; give a number, or drums=1,rest=0.3")
            try:
                shares[name] = float(share)
            except ValueError:
                raise UserError(f"amount {name} must be a number >= 0 and <= 1, got {share!r}") from None
        return cls(**shares)

    def weights(self, source_db: "Tensor", fake_db: "Tensor", mel: "MelSpectrogram") -> "float | Tensor":
        """Return the share of the change at each point of mels (N, M, F) in dB; a number if all are equal."""
        if self.drums == self.rest:
            return self.drums
        percussive = percussive_share(source_db, mel).maximum(percussive_share(fake_db, mel))
        return self.rest + (self.drums - self.rest) * percussive


AmountLike = float | str | Amount  # a text as in `Amount.parse`


def as_amount(amount: AmountLike) -> Amount:
    """Return an amount; a number is the share of drums and rest alike, a text is parsed.

    Raises:
        UserError: it is no number from 0 to 1, and no text that `Amount.parse` takes.
    """
    if isinstance(amount, str):
        return Amount.parse(amount)
    if isinstance(amount, Amount):
        return amount
    check_number("amount", amount, 0, 1)
    return Amount(amount, amount)


def percussive_share(mels_db: "Tensor", mel: "MelSpectrogram") -> "Tensor":
    """Compute how percussive each point of mels (N, M, F) in dB is, from 0 to 1.

    A drum is a vertical line of the mel and a tone a horizontal one, so medians over bands and over time
    separate them (Fitzgerald 2010); the share is a Wiener mask of both.
    """
    import torch
    from scipy.ndimage import median_filter

    amplitudes = (10 ** (mels_db / 20)).cpu().numpy()
    n_frames = _odd(HARMONIC_S * mel.sample_rate / mel.hop_length)
    harmonic = median_filter(amplitudes, (1, 1, n_frames)) * HARMONIC_WEIGHT
    percussive = median_filter(amplitudes, (1, _odd(PERCUSSIVE_SHARE * mels_db.shape[1]), 1))
    share = percussive**2 / (percussive**2 + harmonic**2 + 1e-20)
    return torch.from_numpy(share).to(mels_db)


def _odd(size: float) -> int:
    """Return the nearest odd number."""
    return 2 * round((size - 1) / 2) + 1
