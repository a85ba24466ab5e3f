"""Open any audio container with FFmpeg (PyAV), clean its tags, and write AAC as .m4a."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# AAC bit rate of one channel: 256 kbit/s for stereo. On 8 pieces of 20 s the median coding error is 33 dB
# below the music, between .ogg at 190 kbit/s (30 dB) and .mp3 at 250 (37 dB). FFmpeg lowers it at low rates.
_BITS_PER_S = 128_000
_LAYOUTS = {1: "mono", 2: "stereo"}  # layouts of more channels have one that carries low frequencies only
_MAX_OPEN_S = 20.0  # FFmpeg takes quadratic time for the number of tags, which may be 10^5
_LENIENT_VERSION = 19  # from this version on, PyAV opens files whose tags are not valid UTF-8
# FFmpeg's names of the formats that are read. Others are not music, or open further files, devices or the
# network (playlists), or synthesise hours of sound from a line of text.
_FORMATS = (
    "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dsf", "dts", "eac3", "flac", "flv", "iff",
    "latm", "loas", "matroska", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "ogg", "qoa", "shn", "tak",
    "truehd", "tta", "voc", "w64", "wav", "wv", "xwma",
)  # fmt: skip
# A relative name such as `http:host` would be an address, were it not for the protocol and the absolute path.
_INPUT_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS)}


class UnsupportedFormat(ValueError):
    """Raised where a format does not support a sample rate or number of channels."""


def open_input(path: str | Path) -> Any:
    """Open a file of one of `_FORMATS` for reading, even if its tags are not valid UTF-8."""
    import av

    is_lenient = int(av.__version__.split(".")[0]) >= _LENIENT_VERSION
    arguments: dict[str, Any] = {"options": dict(_INPUT_OPTIONS), "timeout": (_MAX_OPEN_S, None)}
    if not is_lenient:
        arguments["metadata_errors"] = "ignore"
    return av.open(str(Path(path).absolute()), **arguments)


def clean_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return tags with lower-case names, without bytes that are not valid UTF-8 (PyAV 19 keeps them)."""
    return {key.lower(): value.encode(errors="ignore").decode() for key, value in metadata.items()}


def m4a_format(rate: int) -> dict[str, Any]:
    """Return the arguments of `av.open` that write an .m4a file at `rate` Hz.

    Times are counted in samples, so the length is exact. FFmpeg's format "ipod" for .m4a cannot hold a cover.
    """
    return {"format": "mp4", "options": {"brand": "M4A ", "movie_timescale": str(rate)}}


class AacFile:
    """An AAC file in an MP4 container, with the methods `write` and `close` of `soundfile.SoundFile`.

    An edit list marks the padding in the first and last frame; players and `audio.io` leave it out.

    Args:
        file: open for writing and seeking.
        rate: sample rate in Hz.
        channels: 1 or 2.

    Raises:
        UnsupportedFormat: AAC does not support this rate, or there are more than two channels.
    """

    def __init__(self, file: BinaryIO, rate: int, channels: int) -> None:
        import av

        rates = av.Codec("aac", "w").audio_rates or ()
        if channels not in _LAYOUTS:
            raise UnsupportedFormat("AAC supports 1 or 2 channels")
        if rate not in rates:
            raise UnsupportedFormat(f"AAC supports {', '.join(map(str, sorted(rates)))} Hz")
        self._rate, self._layout = rate, _LAYOUTS[channels]
        self._container = av.open(file, "w", **m4a_format(rate))
        self._stream = self._container.add_stream("aac", rate=rate, layout=self._layout)
        self._stream.bit_rate = channels * _BITS_PER_S
        self._n_samples = 0
        self._is_open = True

    def write(self, samples: np.ndarray) -> None:
        """Encode the next samples (n, C), float32."""
        import av

        if not len(samples):
            return  # FFmpeg refuses empty frames
        planes = np.ascontiguousarray(samples.T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, "fltp", self._layout)
        frame.sample_rate, frame.pts = self._rate, self._n_samples
        self._n_samples += frame.samples
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the remaining frames and the index; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            self._container.mux(self._stream.encode(None))
            self._container.close()
