"""Copying tags and covers between formats."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from matplotlib import image

from cyclegan_audio.audio.file_tags import copy_tags, read_tags, tags_at_creation
from cyclegan_audio.audio.io import OUTPUT_SUFFIXES, decode, open_writer, save

TAGS = {
    "title": "Café",
    "artist": "Nobody",
    "album": "Nothing",
    "date": "1999-03-02",
    "track": "3/12",
    "genre": "Lo-Fi",
}
SOURCES = [(".mp3", "png"), (".mp3", "jpeg"), (".flac", "png"), (".m4a", "png"), (".m4a", "jpeg")]


def noise() -> torch.Tensor:
    return torch.randn(2, 30000, generator=torch.Generator().manual_seed(0)) * 0.1


def make_tagged(folder: Path, suffix: str, kind: str) -> Path:
    """A song with tags and a cover."""
    save(folder / f"plain{suffix}", noise(), 44100)
    picture = io.BytesIO()
    image.imsave(picture, np.zeros((8, 8, 3)), format=kind)
    picture.seek(0)
    path = folder / f"song{suffix}"
    with (
        av.open(str(folder / f"plain{suffix}")) as audio,
        av.open(picture) as cover,
        av.open(str(path), "w", format={".m4a": "mp4"}.get(suffix)) as out,
    ):
        out.metadata.update(TAGS)
        audio_stream = out.add_stream_from_template(audio.streams.audio[0])
        cover_stream = out.add_stream_from_template(cover.streams.video[0])
        cover_stream.disposition = Disposition.attached_pic.value
        for source, target in ((cover, cover_stream), (audio, audio_stream)):
            for packet in source.demux():
                if packet.dts is not None and packet.size:
                    packet.stream = target
                    out.mux(packet)
    return path


@pytest.fixture(scope="module")
def tagged(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Songs with tags and a cover, by suffix and kind of cover."""
    return {form: make_tagged(tmp_path_factory.mktemp("tagged"), *form) for form in SOURCES}


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
@pytest.mark.parametrize("form", SOURCES, ids="-".join)
def test_tags_and_cover_are_copied_without_changing_the_audio(tagged, tmp_path, form, suffix):
    source, path = tagged[form], tmp_path / f"out{suffix}"
    with open_writer(path, 44100, 2, tags=tags_at_creation(source, path)) as writer:
        writer.write(noise())
    before = decode(path)[0]
    copy_tags(source, path)
    tags, cover, codec = read_tags(path)
    assert TAGS.items() <= tags.items()
    assert not {"language", "handler_name", "vendor_id", "major_brand"} & tags.keys()
    with_cover = suffix in (".mp3", ".flac", ".m4a")
    assert (cover, codec) == (read_tags(source)[1:] if with_cover else (None, ""))
    assert not with_cover or codec == {"png": "png", "jpeg": "mjpeg"}[form[1]]
    torch.testing.assert_close(decode(path)[0], before, rtol=0, atol=0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_invalid_utf8_in_tags_is_dropped(tmp_path):
    with open_writer(tmp_path / "a.flac", 44100, 2, tags={"title": "TIT12LE"}) as writer:
        writer.write(noise())
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data.replace(b"TIT12LE", b"TIT\xff\xfeLE"))
    save(tmp_path / "b.m4a", noise(), 44100)
    copy_tags(tmp_path / "a.flac", tmp_path / "b.m4a")
    assert read_tags(tmp_path / "b.m4a")[0]["title"] == "TITLE"


def test_source_without_tags_leaves_the_target_unchanged(tmp_path):
    save(tmp_path / "a.wav", noise(), 44100)
    save(tmp_path / "b.wav", noise(), 44100)
    before = (tmp_path / "b.wav").read_bytes()
    copy_tags(tmp_path / "a.wav", tmp_path / "b.wav")
    (tmp_path / "text.mp3").write_text("no song")
    copy_tags(tmp_path / "text.mp3", tmp_path / "b.wav")
    assert (tmp_path / "b.wav").read_bytes() == before
