"""Make players from waveforms and mels: equally loud versions over spectrograms."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor

from cyclegan_audio.audio.loudness import equalise_loudness, fade_ends
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.reports.figures.spectrograms import mel_pngs
from cyclegan_audio.reports.html import Player, Version, encode_audio
from cyclegan_audio.utils.devices import parallel_map

LOUDNESS_LUFS, MAX_PEAK = -18.0, 10 ** (-1 / 20)
FADE_S = 0.01  # at both ends, because short sounds play in a loop
MAX_PLAYED_S = 12.0  # longer clips are cut
PICTURE, SMALL_PICTURE = (720, 128), (480, 96)  # width and height in pixels


class Sounding(NamedTuple):
    """A waveform (T,) with its mel (M, F) in dB, and the label of its switch."""

    label: str
    waveform: Tensor
    mel_db: Tensor


def make_player(
    title: str,
    note: str,
    versions: Sequence[Sounding],
    mel: MelSpectrogram,
    picture: tuple[int, int] = SMALL_PICTURE,
    equally_loud: bool = True,
) -> Player:
    """Make a player of versions of the same music, with spectrograms in common colours.

    Args:
        title, note: texts above the player.
        versions: the sounds; the shortest one gives the duration, at most `MAX_PLAYED_S`.
        mel: settings of the mels.
        picture: width and height of a spectrogram in pixels.
        equally_loud: whether all versions get the same loudness.
    """
    rate = mel.sample_rate
    n_samples = min(round(MAX_PLAYED_S * rate), *(len(one.waveform) for one in versions))
    n_frames = max(1, min(round(n_samples / rate / mel.frame_s), *(one.mel_db.shape[1] for one in versions)))
    waveforms = [one.waveform[:n_samples].nan_to_num(0.0, 0.0, 0.0) for one in versions]
    if equally_loud:
        waveforms, _ = equalise_loudness(waveforms, rate, LOUDNESS_LUFS, MAX_PEAK)
    faded = [fade_ends(waveform, round(FADE_S * rate)) for waveform in waveforms]
    encoded = parallel_map(
        partial(encode_audio, one.label, sound, rate) for one, sound in zip(versions, faded, strict=True)
    )
    pngs = mel_pngs([one.mel_db[:, :n_frames] for one in versions], *picture)
    parts = tuple(Version.of(audio, png) for audio, png in zip(encoded, pngs, strict=True))
    return Player(title, parts, n_samples / rate, loop=True, note=note)
