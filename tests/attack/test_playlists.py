"""Audio files that are playlists, and names that are addresses, open no other file and no connection."""

import os
import shutil
import socket
from pathlib import Path

import av
import pytest

from cyclegan_audio.audio.containers import _FORMATS
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.utils.errors import UserError
from tests.audio.test_io import sine

SECRET = "secret.wav"
PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile 'secret.wav'\n",
    "many times": "ffconcat version 1.0\n" + "file 'secret.wav'\n" * 1000,
    "itself": "ffconcat version 1.0\nfile 'song.mp3'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9.0,\nsecret.ts\n#EXT-X-ENDLIST\n",
    "hls, master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\nhttp://127.0.0.1:PORT/\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1000">'
    "<BaseURL>http://127.0.0.1:PORT/</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 5004 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
    "a script of beats": "NOW on\non: 100+4/50\n",
}
NAMES = ("concat:secret.wav|secret.wav", "tcp:127.0.0.1:PORT", "http:127.0.0.1:PORT", "pipe:0", "data:,x")


@pytest.fixture
def listener(tmp_path, monkeypatch):
    """Work in a folder with a secret, beside a port where nobody may call."""
    save(tmp_path / SECRET, sine(440, 1.0, 44_100), 44_100)
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def assert_refused(path: str, listener: socket.socket) -> None:
    with pytest.raises(UserError, match="cannot be read as audio"):
        decode(path)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("suffix", [".mp3", ".m3u8", ".wav"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_refused(listener, kind, suffix):
    shutil.copy(SECRET, "secret.ts")
    text = PLAYLISTS[kind].replace("PORT", str(listener.getsockname()[1]))
    Path(f"song{suffix}").write_text(text)
    assert_refused(f"song{suffix}", listener)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_addresses_are_names_of_files(listener, name):
    name = name.replace("PORT", str(listener.getsockname()[1]))
    Path(name).write_text("no sound")
    assert_refused(name, listener)
    os.replace(SECRET, name)
    assert decode(name)[0].shape == (2, 44_100)


def test_no_format_is_a_device_or_a_playlist():
    """FFmpeg lists its devices among the formats; each name in the list must be one of a file."""
    names = set(_FORMATS)
    assert not names & {
        "alsa",
        "concat",
        "fbdev",
        "hls",
        "dash",
        "image2",
        "lavfi",
        "oss",
        "rtsp",
        "sdp",
        "x11grab",
    }
    assert names <= {part for name in av.formats_available for part in name.split(",")} | {
        "qoa"
    }  # since FFmpeg 7
