import io

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from matplotlib import image

from cyclegan_audio.audio.files import decode, write
from cyclegan_audio.audio.tags import keep_tags, read_tags, strings_for
from cyclegan_audio.audio.writing import open_writer

TAGS = {"title": "Café", "artist": "Nobody"}


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """An MP3 with tags and a cover."""
    folder = tmp_path_factory.mktemp("tagged")
    write(folder / "plain.mp3", noise(), 44100)
    picture = io.BytesIO()
    image.imsave(picture, np.zeros((8, 8, 3)), format="png")
    picture.seek(0)
    with (
        av.open(str(folder / "plain.mp3")) as audio,
        av.open(picture) as cover,
        av.open(str(folder / "song.mp3"), "w") as out,
    ):
        out.metadata.update(TAGS)
        sound = out.add_stream_from_template(audio.streams.audio[0])
        shown = out.add_stream_from_template(cover.streams.video[0])
        shown.disposition = Disposition.attached_pic
        for source, target in ((cover, shown), (audio, sound)):
            for packet in source.demux():
                if packet.dts is not None and packet.size:
                    packet.stream = target
                    out.mux(packet)
    return folder / "song.mp3"


def noise():
    return torch.randn(2, 30000, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
def test_tags_are_kept_and_the_sound_is_left_alone(tagged, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    with open_writer(path, 44100, 2, strings=strings_for(tagged, path)) as writer:
        writer.write(noise())
    before = decode(path)[0]
    keep_tags(tagged, path)
    tags, cover, codec = read_tags(path)
    assert TAGS.items() <= tags.items()
    assert (cover, codec) == (read_tags(tagged)[1:] if suffix in (".mp3", ".flac") else (None, ""))
    torch.testing.assert_close(decode(path)[0], before)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_source_without_tags_changes_nothing(tmp_path):
    write(tmp_path / "a.wav", noise(), 44100)
    write(tmp_path / "b.wav", noise(), 44100)
    before = (tmp_path / "b.wav").read_bytes()
    keep_tags(tmp_path / "a.wav", tmp_path / "b.wav")
    (tmp_path / "text.mp3").write_text("no song")
    keep_tags(tmp_path / "text.mp3", tmp_path / "b.wav")
    assert (tmp_path / "b.wav").read_bytes() == before
