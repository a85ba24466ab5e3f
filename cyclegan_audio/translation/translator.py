"""Any music from one genre to another: mel, generator, vocoder, and the channels put together again."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.files import resample
from cyclegan_audio.audio.windows import cut, join
from cyclegan_audio.devices import choose_device
from cyclegan_audio.errors import UserError
from cyclegan_audio.models.checkpoint import TranslationPair, load_pair
from cyclegan_audio.translation.channels import from_mid_and_sides, level, mid_and_sides, near_sound
from cyclegan_audio.translation.chunks import in_chunks, long_mel_db
from cyclegan_audio.vocoders import Vocoder, make_vocoder
from cyclegan_audio.vocoders.mask import mask_gain

BATCH_WINDOWS = 4
MAX_CUT_DB = 60.0
MAX_SIDE_BOOST_DB = 12.0


class Translator:
    """Translates waveforms of any length, sample rate and channel count by a trained pair.

    Time: the mel is cut into windows of the training length that overlap by a quarter; what the generator
    changes in each is cross-faded, so a generator that changes nothing leaves the mel exactly as it was.
    Frames of digital silence stay as they are, and samples further than an STFT window from any sound stay 0.

    Channels: the mean of all channels (mid) is translated and re-made by the vocoder. What each channel has
    beside the mid (its side) is filtered by the gain target mel / source mel on its own STFT, at most 12 dB
    up, and added: instruments keep their place, what is new stands in the middle, and the mean of the result
    is the new mid.

    Rate: the work is done at the mel's sample rate; content above half of it is lost. The result has the rate
    and the length of the input.

    Level: the result is brought to the RMS of the input (by 20 dB at most); peaks that then exceed 0.99 are
    limited, all channels alike.
    """

    def __init__(
        self, pair: TranslationPair, vocoder: str | Vocoder = "hybrid", device: str | torch.device = "cpu"
    ) -> None:
        self.pair = pair
        self.mel = pair.mel
        self.device = torch.device(device)
        self.vocoder: Vocoder = make_vocoder(vocoder) if isinstance(vocoder, str) else vocoder
        self.vocoder.check(self.mel)
        self.window = math.ceil(pair.window_frames / pair.frame_multiple) * pair.frame_multiple

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        checkpoint: str | Path | None = None,
        vocoder: str | Vocoder = "hybrid",
        device: str = "auto",
    ) -> "Translator":
        """The translator of a RUN: a run folder, a checkpoint, or `demo`, which ships with the package.

        Raises:
            UserError: no such run, vocoder or device, or a damaged checkpoint.
        """
        chosen = choose_device(device)
        made = make_vocoder(vocoder) if isinstance(vocoder, str) else vocoder
        return cls(load_pair(run, chosen, checkpoint), made, chosen)

    @torch.no_grad()
    def __call__(
        self, waveform: Tensor, sample_rate: int, to: str, on_progress: Callable[[float], None] | None = None
    ) -> Tensor:
        """Translate (C, T) or (T,) float32 to genre `to`; the result has the same shape and rate.

        Args:
            waveform: full scale at 1.
            sample_rate: of the input and of the result, in Hz.
            to: one of the pair's genres; the other one is taken to be the input's.
            on_progress: called with the share of the work that is done.

        Raises:
            UserError: unknown genre, or samples that are not finite.
        """
        self.pair.generator(to)
        if not torch.isfinite(waveform.sum()):
            raise UserError("the audio has samples that are not finite numbers; mend or decode it again")
        if not waveform.any():
            return waveform.clone()
        channels = torch.atleast_2d(waveform).float()
        rate = self.mel.sample_rate  # `parts` is rebound on the way, so that long music is held only twice
        parts = self._whole_frames(resample(mid_and_sides(channels), sample_rate, rate))
        parts = self._translate_parts(parts, to, on_progress)
        parts = resample(parts, rate, sample_rate)[:, : channels.shape[-1]]
        out = from_mid_and_sides(parts)
        out *= near_sound(channels, math.ceil(self.mel.n_fft * sample_rate / rate))
        return level(out, channels).reshape(waveform.shape)

    @torch.no_grad()
    def translate_mel(
        self, mel_db: Tensor, to: str, on_progress: Callable[[float], None] | None = None
    ) -> Tensor:
        """Translate a mel (M, F) in dB to genre `to`, any number of frames.

        With `scaling: clip` the lowest and highest value of the whole piece, digital silence left out, become
        -1 and 1.

        Raises:
            UserError: unknown genre.
        """
        generator = self.pair.generator(to)
        floor_db = 20 * math.log10(self.mel.floor)
        sounding = (mel_db > floor_db + 1e-3).any(0)
        if not sounding.any():
            return mel_db.clone()
        low, high = range_db = self.mel.range_db(mel_db[:, sounding])
        windows = cut(self.mel.normalise(mel_db, range_db), self.window, self.window // 4)
        changes = []
        for batch in windows.split(BATCH_WINDOWS):
            real = batch[:, None].to(self.device)
            changes.append((generator(real) - real)[:, 0].to(mel_db))
            if on_progress:
                on_progress(sum(map(len, changes)) / len(windows))
        change = join(torch.cat(changes), mel_db.shape[1], self.window // 4) * ((high - low) / 2)
        return torch.where(sounding, (mel_db + change).clamp_min(floor_db), mel_db)

    def _translate_parts(self, parts: Tensor, to: str, on_progress: Callable[[float], None] | None) -> Tensor:
        """Mid and sides (C, T) at the mel's rate, translated."""
        report = on_progress or (lambda share: None)
        mel, n_frames = self.mel, parts.shape[-1] // self.mel.hop_length
        source_db = long_mel_db(parts[0], mel)
        target_db = self.translate_mel(source_db, to, lambda share: report(share / 2))

        def vocode(start: int, stop: int) -> Tensor:
            piece = parts[:, start * mel.hop_length : stop * mel.hop_length].to(self.device)
            frames = slice(start, start + mel.n_frames(piece.shape[-1]))
            source, target = (db[None, :, frames].to(self.device) for db in (source_db, target_db))
            mid = self.vocoder(target, mel, piece.shape[-1], piece[:1], source)
            report(0.5 + stop / n_frames / 2)
            if len(piece) == 1:
                return mid.cpu()
            gain = mask_gain(source, target, mel, MAX_CUT_DB, MAX_SIDE_BOOST_DB)
            sides = mel.istft(mel.stft(piece[1:]) * gain, piece.shape[-1])
            return torch.cat([mid, sides]).cpu()

        return in_chunks(vocode, n_frames, mel.hop_length)

    def _whole_frames(self, waveform: Tensor) -> Tensor:
        """Zeros after the end of (C, T) up to whole frames, at least one STFT window."""
        hop = self.mel.hop_length
        length = max(math.ceil(waveform.shape[-1] / hop), math.ceil(self.mel.n_fft / hop)) * hop
        return F.pad(waveform, (0, length - waveform.shape[-1]))
