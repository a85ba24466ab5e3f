"""Audio containers of FFmpeg (PyAV): open any for reading, write AAC as .m4a."""

from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

# Of AAC, a channel: 256 kbit/s of stereo. On 8 pieces of 20 s the error lies 33 dB below the music (median),
# between .ogg at 190 kbit/s (30 dB) and .mp3 at 250 (37 dB). FFmpeg takes less where a low rate asks for it.
_BITS_PER_S = 128_000
_LAYOUTS = {1: "mono", 2: "stereo"}  # with more channels, one of them would carry low frequencies only
_LENIENT_VERSION = 19  # of PyAV, which always opens files whose tags are no UTF-8


class UnsupportedFormat(ValueError):
    """A format has no such sample rate or number of channels."""


def open_input(path: object) -> Any:
    """Open a file for reading, whatever its tags are."""
    import av

    is_lenient = int(av.__version__.split(".")[0]) >= _LENIENT_VERSION
    arguments: dict[str, Any] = {} if is_lenient else {"metadata_errors": "ignore"}
    return av.open(str(path), **arguments)


def clean_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Tags with lower-case names, and without the bytes that are no UTF-8 (PyAV 19 keeps them)."""
    return {key.lower(): value.encode(errors="ignore").decode() for key, value in metadata.items()}


def m4a_format(rate: int) -> dict[str, Any]:
    """Arguments of `av.open` to write an .m4a file.

    Its times count samples, so that the length is exact. FFmpeg's own format for .m4a takes no cover.
    """
    return {"format": "mp4", "options": {"brand": "M4A ", "movie_timescale": str(rate)}}


class AacFile:
    """AAC in MP4, written block by block by the methods that `soundfile.SoundFile` has.

    An edit list says which samples of the first and the last frame are padding: players and `audio.io`
    leave them out.

    Args:
        file: open for writing and seeking.
        rate: of the samples, in Hz.
        channels: one or two.

    Raises:
        UnsupportedFormat: AAC does not have this rate, or there are more channels.
    """

    def __init__(self, file: BinaryIO, rate: int, channels: int) -> None:
        import av

        rates = av.Codec("aac", "w").audio_rates or ()
        if channels not in _LAYOUTS:
            raise UnsupportedFormat("AAC is written in mono and stereo")
        if rate not in rates:
            raise UnsupportedFormat(f"AAC has {', '.join(map(str, sorted(rates)))} Hz")
        self._rate, self._layout = rate, _LAYOUTS[channels]
        self._container = av.open(file, "w", **m4a_format(rate))
        self._stream = self._container.add_stream("aac", rate=rate, layout=self._layout)
        self._stream.bit_rate = channels * _BITS_PER_S
        self._n_samples = 0
        self._is_open = True

    def write(self, samples: np.ndarray) -> None:
        """The next samples (n, C), float32."""
        import av

        if not len(samples):
            return  # FFmpeg takes no empty frame
        planes = np.ascontiguousarray(samples.T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, "fltp", self._layout)
        frame.sample_rate, frame.pts = self._rate, self._n_samples
        self._n_samples += frame.samples
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left, and the index; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            self._container.mux(self._stream.encode(None))
            self._container.close()
