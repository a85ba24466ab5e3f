"""Stretch audio in time without changing its pitch (WSOLA)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_FRAME = 2048
_HOP = _FRAME // 2
_FFT = 2 * _FRAME  # long enough that no lag in the search range wraps round
_SEARCH = 512  # samples by which a frame may move to continue the previous one


def wsola(waveform: Tensor, n_samples: int) -> Tensor:
    """Stretch (T,) to (n_samples,) by waveform similarity; an equal length returns the input.

    Source: W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for
    high quality time-scale modification of speech", ICASSP 1993.
    """
    if waveform.shape[-1] == n_samples:
        return waveform
    ratio = waveform.shape[-1] / n_samples
    n_frames = -(-n_samples // _HOP) + 1
    padded = F.pad(waveform, (_SEARCH + _HOP, _SEARCH + 2 * _FRAME + round(_HOP * ratio)))
    window = torch.hann_window(_FRAME)
    out = waveform.new_zeros((n_frames + 1) * _HOP)
    start = _SEARCH
    for frame in range(n_frames):
        if frame:
            continuation = padded[start + _HOP : start + _HOP + _FRAME]
            search_start = round(frame * _HOP * ratio)
            candidates = padded[search_start : search_start + _FRAME + 2 * _SEARCH]
            product = torch.fft.rfft(candidates, _FFT) * torch.fft.rfft(continuation, _FFT).conj()
            correlation = torch.fft.irfft(product)[: 2 * _SEARCH + 1]
            start = search_start + int(correlation.argmax())
        out[frame * _HOP : frame * _HOP + _FRAME] += window * padded[start : start + _FRAME]
    return out[_HOP : _HOP + n_samples]
