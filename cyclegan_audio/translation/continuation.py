"""Continue a piece beyond both ends by linear prediction, so that its first and last frames are whole.

An STFT continues a piece by reflection or silence. Where a tone ends, either is a discontinuity, which adds
faint noise to all bands: a generator may take it for a drum, or boost it.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cyclegan_audio.audio.rolling_buffer import RollingBuffer

Array = npt.NDArray[np.float64]

ORDER = 32
FIT_SAMPLES = 4096  # samples at an end that define its continuation


def continue_blocks(blocks: Iterable[Tensor], n_samples: int) -> Iterator[Tensor]:
    """Yield a piece, in blocks (C, n), with `n_samples` more before it and after it."""
    known: Tensor | None = None  # the first samples, as long as they are few; then the last ones
    has_started = False
    for block in blocks:
        known = block if known is None else torch.cat([known, block], 1)
        if not has_started and known.shape[1] >= FIT_SAMPLES:
            has_started, block = True, _with_continuation_before(known, n_samples)
        if has_started:
            yield block
            known = known[:, -FIT_SAMPLES:].clone()
    if known is None:
        return
    if not has_started:
        yield _with_continuation_before(known, n_samples)
    yield continuation(known, n_samples)


def _with_continuation_before(samples: Tensor, n_samples: int) -> Tensor:
    before = continuation(samples[:, :FIT_SAMPLES].flip(1), n_samples).flip(1)
    return torch.cat([before, samples], 1)


def cut_continuations(blocks: Iterable[Tensor], n_samples: int) -> Iterator[Tensor]:
    """Remove the first and last `n_samples` of a stream of blocks (C, n)."""
    buffer, start = RollingBuffer(), n_samples
    for block in blocks:
        buffer.append(block)
        stop = max(buffer.stop - n_samples, start)
        yield buffer.read(start, stop) if stop > start else block[:, :0]
        buffer.discard_before(stop)
        start = stop


def continuation(samples: Tensor, n_samples: int) -> Tensor:
    """Predict the next `n_samples` after samples (C, n), by channel; silence follows less than 64."""
    if samples.shape[1] < 2 * ORDER or not n_samples:
        return samples.new_zeros(len(samples), n_samples)
    known = samples.double().numpy()
    predicted = np.stack([_predict(channel, n_samples) for channel in known])
    peak = np.abs(known).max(1, keepdims=True)
    return torch.from_numpy(predicted.clip(-peak, peak)).to(samples)


def _predict(known: Array, n_samples: int) -> Array:
    weights = burg(known)[::-1]
    values = np.concatenate([known[-ORDER:], np.zeros(n_samples)])
    for index in range(n_samples):
        values[index + ORDER] = weights @ values[index : index + ORDER]
    return values[ORDER:]


def burg(samples: Array) -> Array:
    """Return the weights of the last `ORDER` samples, the latest first, that predict the next one.

    Source: Burg 1967; the predictor is stable.
    """
    forward, backward = samples[1:], samples[:-1]
    error_filter = np.ones(1)
    for _ in range(ORDER):
        power = forward @ forward + backward @ backward
        if power <= 1e-20 * len(forward):
            break
        reflection = -2 * (forward @ backward) / power
        padded = np.append(error_filter, 0)
        error_filter = padded + reflection * padded[::-1]
        forward, backward = (forward + reflection * backward)[1:], (backward + reflection * forward)[:-1]
    weights = np.zeros(ORDER)
    weights[: len(error_filter) - 1] = -error_filter[1:]
    return weights
