"""Translate mid and sides at the mel rate: mel, generator, vocoder for the mid, gain for the sides."""

import torch
from torch import Tensor

from cyclegan_audio.translation.mid_side import activity_mask
from cyclegan_audio.translation.stages import EdgeStream, MelStream, WaveformStream, to_whole_frames
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.vocoders import Vocoder, VocoderInput
from cyclegan_audio.vocoders.mask import mask_gain

MAX_CUT_DB = 60.0
MAX_SIDE_BOOST_DB = 12.0


class Pipeline:
    """Translate mid and sides (C, T) at the mel's sample rate, block by block.

    Args:
        generator: computes the change of the mid's mel.
        vocoder: synthesises the mid.
        chunk_frames: frames synthesised at once.
        device: where to compute; blocks come from the CPU and return to it.
        workers: threads for windows and for chunks.
    """

    def __init__(
        self,
        generator: WindowedGenerator,
        vocoder: Vocoder,
        chunk_frames: int,
        device: torch.device,
        workers: int = 1,
    ) -> None:
        self.generator, self.vocoder, self.mel, self.device = generator, vocoder, generator.mel, device
        self._mel_stream, self._edge_stream = MelStream(self.mel), EdgeStream(self.mel)
        self._change_stream = generator.stream(device.type == "cuda", workers)
        self._waveform_stream = WaveformStream(self._synthesise, self.mel, chunk_frames, workers)
        self._pending_db: list[Tensor] = []  # source frames whose change is not known yet
        self._n_samples = 0

    def push(self, block: Tensor) -> Tensor:
        """Add the next samples (C, n) of mid and sides; return those that are ready, (C, m)."""
        self._n_samples += block.shape[1]
        return self._push(block, last=False)

    def finish(self, last: Tensor | None, n_channels: int) -> Tensor:
        """Add the last samples, if any; return all that remain, up to whole frames and one STFT window."""
        last = torch.zeros(n_channels, 0) if last is None else last
        return self._push(to_whole_frames(last, self._n_samples, self.mel), last=True)

    def _push(self, block: Tensor, last: bool) -> Tensor:
        block = block.to(self.device)
        source_db = self._mel_stream.push(block[0], last)
        change_db = self._change_stream.push(self._edge_stream.push(source_db, last), last)
        self._pending_db.append(source_db)
        pending_db = torch.cat(self._pending_db, 1)
        n_ready = change_db.shape[1]
        ready_db, self._pending_db = pending_db[:, :n_ready], [pending_db[:, n_ready:]]
        frames = torch.stack([ready_db, self.generator.add_change(ready_db, change_db)])
        return self._waveform_stream.push(block, frames, last).cpu()

    def _synthesise(self, samples: Tensor, frames: Tensor) -> Tensor:
        """Translate mid and sides (C, n), given source and target mel (2, M, F) in dB; silence stays."""
        source_db, target_db = frames[:1], frames[1:]
        n_samples = samples.shape[1]
        out = self.vocoder(VocoderInput(target_db, self.mel, n_samples, samples[:1], source_db))
        if len(samples) > 1:
            gain = mask_gain(source_db, target_db, self.mel, MAX_CUT_DB, MAX_SIDE_BOOST_DB)
            sides = self.mel.istft(self.mel.stft(samples[1:]) * gain, n_samples, hann_synthesis=True)
            out = torch.cat([out, sides])
        return out * activity_mask(samples, self.mel.n_fft)
