"""What a generator changes in the mel of a piece."""

import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.windows import pad_reflect
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.clips import run_generator
from cyclegan_audio.models.networks.norm import with_statistics
from cyclegan_audio.translation.analysis_pass import MAX_WINDOWS, PieceStatistics
from cyclegan_audio.translation.stages import WindowStream
from cyclegan_audio.utils.errors import UserError

# Windows with the piece's statistics differ only by what lies beyond their ends: they share less of a window
# with their neighbours, and are longer than in training, which gives fewer ends.
OVERLAP, SHARED_OVERLAP = 4, 8  # the part of a window of training's length that neighbours share
SHARED_LENGTH = 4
GPU_WINDOWS = 16  # of training's length at once; on a CPU one, which stays in its cache


class WindowedGenerator:
    """The change in dB that a generator makes of the windows of a mel.

    Args:
        generator: (N, 1, M, F) in [-1, 1] to the same.
        mel: the definition of the mel.
        window: frames of a window in training, a multiple that the generator takes.
        survey: of the piece; without a range, levels seen so far give it (`scaling: clip`).
        amount: share of the change that is applied.
        bf16: run the generator under bf16 autocast.
        match: what the training mels were brought to; bands above its cutoff stay as they are.
    """

    def __init__(
        self,
        generator: nn.Module,
        mel: MelSpectrogram,
        window: int,
        survey: PieceStatistics,
        amount: float,
        bf16: bool,
        match: CorpusNormalisation,
    ) -> None:
        self.match, self._gain_db = match, match.gain_db(survey.mid_lufs)
        self._above = match.bands_above_cutoff(mel)
        self.mel, self.window = mel, window
        self.amount, self.bf16 = amount, bf16
        self.shared, self.is_short = survey.statistics is not None, survey.is_short
        self._multiple = int(generator.frame_multiple)  # type: ignore[arg-type]
        self.generator = with_statistics(generator, survey.statistics) if survey.statistics else generator
        self._range_db = survey.range_db
        self._found_db: tuple[float, float] | None = None
        self._floor_db = mel.floor_db

    @property
    def length(self) -> int:
        """Frames of the windows of a stream."""
        return self.window * (MAX_WINDOWS if self.is_short else SHARED_LENGTH if self.shared else 1)

    def stream(self, on_gpu: bool = False, workers: int = 1) -> WindowStream:
        """The change of an endless mel, (M, n) dB to (M, m) dB."""
        if self.is_short:
            return WindowStream(self._short, self.length, 0, 1, self._multiple)
        batch = GPU_WINDOWS if on_gpu else 1
        if not self.shared:
            return WindowStream(self, self.window, self.window // OVERLAP, batch)
        batch = max(batch // SHARED_LENGTH, workers)
        return WindowStream(self, self.length, self.window // SHARED_OVERLAP, batch, self._multiple, workers)

    def _short(self, whole_db: Tensor) -> Tensor:
        """The change of a whole piece (1, M, F) at once; frames of digital silence are left out."""
        sounding = (whole_db[0] > self._floor_db + 1e-3).any(0)
        frames = whole_db[:, :, sounding]
        change = torch.zeros_like(whole_db)
        if frames.shape[2]:
            length = -(-max(frames.shape[2], self.window) // self._multiple) * self._multiple
            change[:, :, sounding] = self(pad_reflect(frames, length))[:, :, : frames.shape[2]]
        return change

    def __call__(self, windows_db: Tensor) -> Tensor:
        """(N, M, F) dB to the change in dB, the same shape.

        Raises:
            UserError: the generator gives values that are not finite.
        """
        self._widen(windows_db)
        real = self.scaled(windows_db[:, None])
        fake = run_generator(self.generator, real, self.bf16)
        if not torch.isfinite(fake.sum()):
            raise UserError("the model gives values that are not finite numbers; use another checkpoint")
        low, high = self.range_db
        change = (fake - real)[:, 0] * ((high - low) / 2 * self.amount)
        return (
            change if self._above is None else change.masked_fill(self._above[:, None].to(change.device), 0)
        )

    def apply(self, source_db: Tensor, change_db: Tensor) -> Tensor:
        """The mel (M, F) with its change; digital silence stays."""
        sounding = (source_db > self._floor_db + 1e-3).any(0)
        return torch.where(sounding, (source_db + change_db).clamp_min(self._floor_db), source_db)

    def scaled(self, mel_db: Tensor) -> Tensor:
        """dB to [-1, 1], matched as in training."""
        scaled = self.mel.normalise(self.match.apply(mel_db, self.mel, self._gain_db), self.range_db)
        return (
            scaled if self._above is None else scaled.masked_fill(self._above[:, None].to(scaled.device), -1)
        )

    @property
    def range_db(self) -> tuple[float, float]:
        """The levels that become -1 and 1."""
        return self._range_db or self._found_db or (self.mel.min_db, self.mel.max_db)

    def _widen(self, windows_db: Tensor) -> None:
        """Follow the levels of a stream whose range nobody knows beforehand."""
        if self._range_db is not None or self.mel.scaling == "fixed":
            return
        windows_db = self.match.apply(windows_db, self.mel)
        sounding = windows_db.transpose(1, 2)[(windows_db > self._floor_db + 1e-3).any(1)]
        if len(sounding):
            low, high = self.mel.range_db(sounding)
            before = self._found_db or (low, high)
            self._found_db = min(low, before[0]), max(high, before[1])
