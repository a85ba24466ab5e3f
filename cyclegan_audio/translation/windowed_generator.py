"""Run a generator over the mel of a whole piece in overlapping windows, whose length and overlap it sets."""

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.windows import pad_reflect
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.clip_translation import run_generator
from cyclegan_audio.models.networks.norm import with_statistics
from cyclegan_audio.translation.amounts import AmountLike, as_amount
from cyclegan_audio.translation.analysis_pass import MAX_WINDOWS, PieceStatistics
from cyclegan_audio.translation.stages import WindowStream, is_audible
from cyclegan_audio.utils.errors import UserError

# Windows that share the piece's statistics differ only by the context beyond their ends. They therefore
# overlap less, and are longer than in training, so that there are fewer ends.
OVERLAP, SHARED_OVERLAP = 4, 8  # neighbours share a quarter or an eighth of a training window
SHARED_LENGTH = 4  # training windows
GPU_WINDOWS = 16  # training windows at once on a GPU; on a CPU one, which fits its cache


class WindowedGenerator:
    """A generator that runs over windows of a mel and returns the change in dB.

    Args:
        generator: maps (N, 1, M, F) in [-1, 1] to the same.
        mel: the definition of the mel.
        window: frames of a training window, a multiple of the generator's `frame_multiple`.
        statistics: statistics of the piece; without a range, the levels so far define it (`scaling: clip`).
        amount: share of the change that is applied.
        bf16: whether the generator runs under bf16 autocast.
        normalisation: normalisation of the training corpus; bands above its cutoff do not change.
    """

    def __init__(
        self,
        generator: nn.Module,
        mel: MelSpectrogram,
        window: int,
        statistics: PieceStatistics,
        amount: AmountLike,
        bf16: bool,
        normalisation: CorpusNormalisation,
    ) -> None:
        self.normalisation, self._gain_db = normalisation, normalisation.gain_db(statistics.mid_lufs)
        self._above_cutoff = normalisation.bands_above_cutoff(mel)
        self.mel, self.window = mel, window
        self.amount, self.bf16 = as_amount(amount), bf16
        shared = statistics.norm_statistics
        self.has_shared_statistics, self.is_single_window = shared is not None, statistics.is_single_window
        self._multiple = int(generator.frame_multiple)  # type: ignore[arg-type]
        self.generator = with_statistics(generator, shared) if shared else generator
        self._range_db = statistics.range_db
        self._running_range_db: tuple[float, float] | None = None
        self._floor_db = mel.floor_db

    @property
    def stream_window(self) -> int:
        """Frames of the windows of `stream`."""
        if self.is_single_window:
            return self.window * MAX_WINDOWS
        return self.window * (SHARED_LENGTH if self.has_shared_statistics else 1)

    def stream(self, on_gpu: bool = False, workers: int = 1) -> WindowStream:
        """Return the stage from a mel stream (M, n) in dB to its change (M, m) in dB."""
        if self.is_single_window:
            return WindowStream(self._whole_piece, self.stream_window, 0, 1, self._multiple)
        batch = GPU_WINDOWS if on_gpu else 1
        if not self.has_shared_statistics:
            return WindowStream(self, self.window, self.window // OVERLAP, batch)
        batch = max(batch // SHARED_LENGTH, workers)
        overlap = self.window // SHARED_OVERLAP
        return WindowStream(self, self.stream_window, overlap, batch, self._multiple, workers)

    def _whole_piece(self, mel_db: Tensor) -> Tensor:
        """Compute the change of a whole piece (1, M, F) at once, without frames of digital silence."""
        audible = is_audible(mel_db[0], self._floor_db)
        frames = mel_db[:, :, audible]
        change_db = torch.zeros_like(mel_db)
        if frames.shape[2]:
            length = -(-max(frames.shape[2], self.window) // self._multiple) * self._multiple
            change_db[:, :, audible] = self(pad_reflect(frames, length))[:, :, : frames.shape[2]]
        return change_db

    def __call__(self, windows_db: Tensor) -> Tensor:
        """Compute the change in dB of windows (N, M, F) in dB, of the same shape.

        Raises:
            UserError: the generator's output is not finite.
        """
        self._update_range(windows_db)
        real = self.normalise(windows_db[:, None])
        fake = run_generator(self.generator, real, self.bf16)
        if not torch.isfinite(fake.sum()):
            raise UserError("the model's output is not finite; use another checkpoint")
        low, high = self.range_db
        change_db = (fake - real)[:, 0] * ((high - low) / 2)
        change_db = change_db * self.amount.weights(windows_db, windows_db + change_db, self.mel)
        return self._fill_above_cutoff(change_db, 0)

    def add_change(self, source_db: Tensor, change_db: Tensor) -> Tensor:
        """Add a change to a mel (M, F) in dB; frames of digital silence stay."""
        audible = is_audible(source_db, self._floor_db)
        return torch.where(audible, (source_db + change_db).clamp_min(self._floor_db), source_db)

    def normalise(self, mel_db: Tensor) -> Tensor:
        """Scale a mel (..., M, F) in dB to [-1, 1], normalised as in training."""
        scaled = self.mel.normalise(self.normalisation.apply(mel_db, self.mel, self._gain_db), self.range_db)
        return self._fill_above_cutoff(scaled, -1)

    def _fill_above_cutoff(self, values: Tensor, fill: float) -> Tensor:
        if self._above_cutoff is None:
            return values
        return values.masked_fill(self._above_cutoff[:, None].to(values.device), fill)

    @property
    def range_db(self) -> tuple[float, float]:
        """The levels that become -1 and 1."""
        return self._range_db or self._running_range_db or (self.mel.min_db, self.mel.max_db)

    def _update_range(self, windows_db: Tensor) -> None:
        """Extend the running range by the levels of windows, if the range of the piece is unknown."""
        if self._range_db is not None or self.mel.scaling == "fixed":
            return
        windows_db = self.normalisation.apply(windows_db, self.mel)
        audible = windows_db.transpose(1, 2)[is_audible(windows_db, self._floor_db)]
        if len(audible):
            low, high = self.mel.range_db(audible)
            previous = self._running_range_db or (low, high)
            self._running_range_db = min(low, previous[0]), max(high, previous[1])
