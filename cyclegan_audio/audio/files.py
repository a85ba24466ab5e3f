"""Audio files: find, decode (PyAV), resample, mix to mono, write (soundfile).

Waveforms are float32 on the CPU, (C, T), full scale at 1.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch import Tensor

from cyclegan_audio.errors import UserError

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4",
    ".webm", ".mka",
)  # fmt: skip

_SUBTYPES = {".wav": "PCM_16", ".flac": "PCM_16", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
_MAX_BAD_PACKETS = 0.02  # share of packets that may be damaged before the whole file counts as damaged
_BLOCK = 1 << 16  # samples written at once: libsndfile's Vorbis encoder overflows its stack on whole songs
_RESAMPLE_BLOCK_S = 20
# The filter of librosa's "kaiser_best": 64 zero crossings, flat to 0.94 of the lower Nyquist frequency.
_KAISER_BEST = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


def find_audio(folder: str | Path) -> list[Path]:
    """Audio files below `folder` at any depth, sorted; hidden files and folders are left out.

    Raises:
        UserError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a folder with audio files")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return sorted(path for path in found if path.is_file() and not _hidden(path.relative_to(folder)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def decode(path: str | Path, *, sample_rate: int | None = None, mono: bool = False) -> tuple[Tensor, int]:
    """Decode the first audio stream of any file that FFmpeg reads.

    Args:
        path: the file.
        sample_rate: resample to this rate; the file's own by default.
        mono: mix all channels to one, (1, T).

    Returns:
        The waveform (C, T) float32 and its sample rate. A few damaged packets are left out, as players do.

    Raises:
        UserError: the file is missing, holds no audio, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file; check the path")
    try:
        waveform, rate = _decode(path, mono)
    except (OSError, ValueError) as error:  # av.FFmpegError is one or the other
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read as audio ({reason}); give another file") from error
    return resample(waveform, rate, sample_rate or rate), sample_rate or rate


def _decode(path: Path, mono: bool) -> tuple[Tensor, int]:
    import av

    blocks: list[np.ndarray] = []
    with av.open(str(path), metadata_errors="ignore") as container:
        if not container.streams.audio:
            raise ValueError("it has no audio stream")
        stream = container.streams.audio[0]
        to_float = av.AudioResampler(format="flt")  # planar frames of 8 channels and more crash PyAV 18
        rate = 0
        for frame in _frames(container, stream):
            if rate and frame.sample_rate != rate:
                raise ValueError("its sample rate changes on the way")
            rate = frame.sample_rate
            for converted in to_float.resample(frame):
                block = converted.to_ndarray().reshape(-1, converted.layout.nb_channels).T
                blocks.append(block.mean(0, keepdims=True, dtype=np.float32) if mono else block)
    if not blocks:
        raise ValueError("it holds no samples")
    return torch.from_numpy(np.concatenate(blocks, axis=1)), rate


def _frames(container, stream) -> Iterator:  # type: ignore[no-untyped-def]  # av has no stubs
    """Decoded frames; damaged packets are skipped as long as they are few.

    Raises:
        ValueError: too many damaged packets.
    """
    import av

    packets = bad = 0
    for packet in container.demux(stream):
        packets += 1
        frames = []
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
        yield from frames
    if bad > max(1, packets * _MAX_BAD_PACKETS):
        raise ValueError(f"{bad} of {packets} packets are damaged")


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample (..., T) to (..., ceil(T to_rate / from_rate)) by a Kaiser-windowed sinc.

    Equal rates change nothing. Long waveforms go in blocks with the filter's reach on both sides, which
    changes no value and bounds memory.
    """
    if from_rate == to_rate:
        return waveform
    divisor = np.gcd(from_rate, to_rate)
    step_in, step_out = int(from_rate // divisor), int(to_rate // divisor)
    reach = 80 * max(step_in, step_out) // step_out + step_in  # over 64 zero crossings of the lower rate
    margin = -(-reach // step_in)  # in whole periods of the two rates
    block = max(1, _RESAMPLE_BLOCK_S * from_rate // step_in)
    length = -(-waveform.shape[-1] * step_out // step_in)
    out = waveform.new_empty(*waveform.shape[:-1], length)
    for start in range(0, -(-waveform.shape[-1] // step_in), block):
        before = min(margin, start)
        piece = waveform[..., (start - before) * step_in : (start + block + margin) * step_in]
        done = torchaudio.functional.resample(piece, step_in, step_out, **_KAISER_BEST)
        place = slice(start * step_out, min((start + block) * step_out, length))
        out[..., place] = done[..., before * step_out :][..., : place.stop - place.start]
    return out


def to_mono(waveform: Tensor) -> Tensor:
    """The mean of all channels: (C, T) to (T,)."""
    return waveform.mean(0)


def check_writable(path: str | Path) -> None:
    """Make sure, before any work, that `path` can be written as audio. Leaves nothing behind.

    Raises:
        UserError: unknown suffix, or the folder cannot be made or written.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUBTYPES:
        raise UserError(f"cannot write {path}: unknown suffix {path.suffix!r}; use {', '.join(_SUBTYPES)}")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give a file name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    trial = _temporary(folder / path.name)
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"cannot write into {folder} ({error.strerror}); choose another folder") from error


def write(path: str | Path, waveform: Tensor, rate: int) -> None:
    """Write (C, T) or (T,) as the format that the suffix names (.wav and .flac 16 bit, .mp3, .ogg).

    Makes the folder. The file appears whole or not at all. Values beyond full scale are clipped.

    Raises:
        UserError: unknown suffix, folder not writable, or the format cannot hold this rate or channel count.
    """
    import soundfile

    path = Path(path)
    check_writable(path)
    samples = torch.atleast_2d(waveform).detach().cpu().clamp(-1, 1).T
    subtype = _SUBTYPES[path.suffix.lower()]
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(temporary, "w", rate, samples.shape[1], subtype) as file:
            for block in samples.split(_BLOCK):
                file.write(block.numpy())
        os.replace(temporary, path)
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot write {path} ({reason}); choose another folder or format") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A name in the same folder that nobody else uses, hidden, with the suffix that settles the format."""
    return path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
