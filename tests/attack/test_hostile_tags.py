"""An audio file with very many tags is refused in time."""

import struct
import time
from pathlib import Path

import pytest

from cyclegan_audio.audio import containers
from cyclegan_audio.audio.file_tags import copy_tags
from cyclegan_audio.audio.io import decode, save
from cyclegan_audio.utils.errors import UserError
from tests.audio.test_io import sine


def id3(n_tags: int) -> bytes:
    values = [b"\3k%d\0v" % number for number in range(n_tags)]
    body = b"".join(b"TXXX" + struct.pack(">IH", len(value), 0) + value for value in values)
    size = bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + body


def test_a_file_with_100000_tags_is_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_MAX_OPEN_S", 0.1)
    plain, song = tmp_path / "plain.mp3", tmp_path / "song.mp3"
    save(plain, sine(440, 1.0, 44_100), 44_100)
    song.write_bytes(id3(100_000) + plain.read_bytes())
    before, start_s = plain.read_bytes(), time.process_time()
    with pytest.raises(UserError, match="cannot be read as audio"):
        decode(song)
    copy_tags(song, plain)
    assert time.process_time() - start_s < 3
    assert plain.read_bytes() == before
