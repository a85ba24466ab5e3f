"""One piece's way at the mel's sample rate: mel, change, sound of the mid, gain of the sides."""

import torch
from torch import Tensor

from cyclegan_audio.translation.mid_side import activity_mask
from cyclegan_audio.translation.stages import MelStream, SoundStream, to_whole_frames
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.vocoders import Vocoder, VocoderInput
from cyclegan_audio.vocoders.mask import mask_gain

MAX_CUT_DB = 60.0
MAX_SIDE_BOOST_DB = 12.0


class Pipeline:
    """Translates mid and sides (C, T) at the mel's rate, part by part.

    Args:
        change: what the generator changes.
        vocoder: makes the mid's sound.
        chunk_frames: whose sound is made at once.
        device: where to compute; parts come from and go back to the CPU.
        workers: windows, and chunks, at once.
    """

    def __init__(
        self,
        change: WindowedGenerator,
        vocoder: Vocoder,
        chunk_frames: int,
        device: torch.device,
        workers: int = 1,
    ) -> None:
        self.change, self.vocoder, self.mel, self.device = change, vocoder, change.mel, device
        self._mels = MelStream(self.mel)
        self._changes = change.stream(device.type == "cuda", workers)
        self._sound = SoundStream(self._make, self.mel, chunk_frames, workers)
        self._waiting: list[Tensor] = []  # source frames whose change is not known yet
        self._taken = 0

    def push(self, parts: Tensor) -> Tensor:
        """The next samples (C, n) to those that are ready, (C, m)."""
        self._taken += parts.shape[1]
        return self._push(parts, last=False)

    def finish(self, parts: Tensor | None, n_channels: int) -> Tensor:
        """The last samples, if any, to all that is left, up to whole frames and at least one STFT window."""
        parts = torch.zeros(n_channels, 0) if parts is None else parts
        return self._push(to_whole_frames(parts, self._taken, self.mel), last=True)

    def _push(self, parts: Tensor, last: bool) -> Tensor:
        parts = parts.to(self.device)
        source_db = self._mels.push(parts[0], last)
        change_db = self._changes.push(source_db, last)
        self._waiting.append(source_db)
        known = torch.cat(self._waiting, 1)
        ready, self._waiting = known[:, : change_db.shape[1]], [known[:, change_db.shape[1] :]]
        frames = torch.stack([ready, self.change.apply(ready, change_db)])
        return self._sound.push(parts, frames, last).cpu()

    def _make(self, piece: Tensor, frames: Tensor) -> Tensor:
        """Mid and sides (C, n) with their source and target mel (2, M, F), translated; silence stays."""
        source_db, target_db = frames[:1], frames[1:]
        n_samples = piece.shape[1]
        made = self.vocoder(VocoderInput(target_db, self.mel, n_samples, piece[:1], source_db))
        if len(piece) > 1:
            gain = mask_gain(source_db, target_db, self.mel, MAX_CUT_DB, MAX_SIDE_BOOST_DB)
            sides = self.mel.istft(self.mel.stft(piece[1:]) * gain, n_samples, hann_synthesis=True)
            made = torch.cat([made, sides])
        return made * activity_mask(piece, self.mel.n_fft)
