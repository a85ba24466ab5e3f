"""Songs of the page: checks, presets, progress, stop, formats."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cyclegan_audio.translation.amounts import Amount
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web.player import _encode
from cyclegan_audio.web.songs import SongSettings, StoppedError, check_song, in_format, translate_song

RATE = 44100


@pytest.fixture
def song(tmp_path) -> Path:
    """Return a stereo song of 3 s in a folder with a long name."""
    folder = tmp_path / "cache" / "0123456789abcdef"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (3 * RATE, 2))
    soundfile.write(folder / "song.wav", noise, RATE)
    return folder / "song.wav"


def settings(**options) -> SongSettings:
    return SongSettings("demo", "rnb", vocoder="mask", **options)


def test_a_song_is_translated_with_progress_and_the_time_left(song, tmp_path):
    reports: list[tuple[float, str]] = []
    result = translate_song(
        song, settings(), tmp_path, threading.Event(), lambda *report: reports.append(report)
    )
    samples, rate = soundfile.read(result.after)
    assert (samples.shape, rate) == ((3 * RATE, 2), RATE)
    assert np.abs(samples - soundfile.read(song)[0]).max() > 0.01
    assert result.after.name == "song_to_rnb.wav"
    assert result.after.is_relative_to(tmp_path)
    assert result.mel.name == "hifi"
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert reports[0] == (0.0, "reading the song")
    assert reports[-1][1] == "0 s left"


def test_an_amount_of_drums_and_rest_reaches_the_translator(song, tmp_path):
    results = [
        translate_song(song, settings(amount=Amount(*shares)), tmp_path, threading.Event(), print)
        for shares in ((0, 0), (1, 0), (1, 1))
    ]
    kept, drums, full = (soundfile.read(result.after)[0] for result in results)
    source = soundfile.read(song)[0]
    assert np.abs(kept - source).max() < 0.02
    changes = [np.abs(samples - source).mean() for samples in (kept, drums, full)]
    assert changes[0] < changes[1] < changes[2]


class SetAtSecondLook(threading.Event):
    """A stop that the user presses after the song was read, while it is translated."""

    looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks > 1


def test_a_stop_ends_the_translation_and_leaves_nothing(song, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    reports: list[float] = []
    with pytest.raises(StoppedError):
        translate_song(song, settings(), folder, SetAtSecondLook(), lambda share, _: reports.append(share))
    assert list(folder.iterdir()) == []
    assert max(reports) == 0


@pytest.mark.parametrize(
    ("name", "samples", "message"),
    [
        ("silent.wav", np.zeros((RATE, 2)), "silent.wav is silent; give another song"),
        ("long.wav", np.full((600 * 8000 + 10), 0.1), "long.wav is longer than 10 minutes"),
    ],
)
def test_a_silent_or_a_long_song_is_refused(name, samples, message, tmp_path):
    soundfile.write(tmp_path / name, samples, RATE if samples.ndim == 2 else 8000)
    with pytest.raises(UserError) as error:
        check_song(tmp_path / name)
    assert str(error.value).startswith(message)


def test_no_audio_is_refused_without_the_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("la la la")
    with pytest.raises(UserError) as error:
        check_song(tmp_path / "notes.txt")
    assert str(error.value).startswith("notes.txt cannot be read as audio")
    assert str(tmp_path) not in str(error.value)


def test_a_video_without_sound_is_refused(tmp_path):
    import av

    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            for packet in stream.encode(av.VideoFrame(64, 64, "yuv420p")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    with pytest.raises(UserError, match=r"^film.mp4 cannot be read as audio \(it has no audio stream\)"):
        check_song(tmp_path / "film.mp4")


def test_numbers_out_of_range_are_refused():
    with pytest.raises(UserError, match="shifts must be"):
        settings(shifts=5)
    with pytest.raises(UserError, match="there is no vocoder 'bigvgan=/etc'"):
        SongSettings("demo", "rnb", vocoder="bigvgan=/etc")


@pytest.mark.parametrize("suffix", ["flac", "mp3", "m4a"])
def test_formats_keep_length_and_tags(suffix, song, tmp_path):
    samples, _ = soundfile.read(song)
    with soundfile.SoundFile(tmp_path / "tagged.wav", "w", RATE, 2) as file:
        file.title = "A song"
        file.write(samples)
    out = in_format(tmp_path / "tagged.wav", suffix)
    assert out == tmp_path / f"tagged.{suffix}"
    assert check_song(out) == pytest.approx(3, abs=0.06)
    if suffix != "m4a":
        with soundfile.SoundFile(out) as file:
            assert file.title == "A song"
    changed = out.stat().st_mtime_ns
    assert in_format(tmp_path / "tagged.wav", suffix).stat().st_mtime_ns == changed


def test_an_unknown_format_is_refused(song):
    with pytest.raises(UserError, match=r"there is no format '\.\./x'"):
        in_format(song, "../x")


def test_sounds_for_the_player_are_not_kept(song, tmp_path):
    content, media_type = _encode(song, tmp_path / "before")
    assert media_type == "audio/mpeg"
    assert len(content) > 1000
    assert list(tmp_path.glob("before*")) == []
