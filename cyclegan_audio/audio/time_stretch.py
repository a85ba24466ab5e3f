"""Longer or shorter without another pitch."""

import torch
import torch.nn.functional as F
from torch import Tensor

_FRAME = 2048
_HOP = _FRAME // 2
_FFT = 2 * _FRAME  # no lag within reach wraps round
_REACH = 512  # samples that a frame may be moved to go on where the one before ended


def wsola(waveform: Tensor, n_samples: int) -> Tensor:
    """Stretch (T,) in time to (n_samples,) by waveform similarity; equal lengths stay as they are.

    Source: W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for
    high quality time-scale modification of speech", ICASSP 1993.
    """
    if waveform.shape[-1] == n_samples:
        return waveform
    ratio = waveform.shape[-1] / n_samples
    n_frames = -(-n_samples // _HOP) + 1
    padded = F.pad(waveform, (_REACH + _HOP, _REACH + 2 * _FRAME + round(_HOP * ratio)))
    window = torch.hann_window(_FRAME)
    out = waveform.new_zeros((n_frames + 1) * _HOP)
    place = _REACH
    for frame in range(n_frames):
        if frame:
            wanted = padded[place + _HOP : place + _HOP + _FRAME]
            first = round(frame * _HOP * ratio)
            around = padded[first : first + _FRAME + 2 * _REACH]
            product = torch.fft.rfft(around, _FFT) * torch.fft.rfft(wanted, _FFT).conj()
            likeness = torch.fft.irfft(product)[: 2 * _REACH + 1]
            place = first + int(likeness.argmax())
        out[frame * _HOP : frame * _HOP + _FRAME] += window * padded[place : place + _FRAME]
    return out[_HOP : _HOP + n_samples]
