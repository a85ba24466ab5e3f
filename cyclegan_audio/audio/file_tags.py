"""Tags and cover of one audio file carried over to another."""

from pathlib import Path
from typing import Any

from cyclegan_audio.audio.containers import clean_tags, m4a_format, open_input
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError

_UNREADABLE = (OSError, ValueError, LookupError, RuntimeError)
_WITH_COVER = (".mp3", ".flac", ".m4a")
_OGG_STRINGS = {
    "track": "tracknumber",
    **{name: name for name in ("title", "artist", "album", "genre", "date")},
}
_OWN = (  # of the file and its encoder, not of the music
    "encoder", "encoded_by", "creation_time", "compatible_brands", "major_brand", "minor_version",
    "language", "handler_name", "vendor_id", "itunsmpb",
)  # fmt: skip


def read_tags(path: Path) -> tuple[dict[str, str], bytes | None, str]:
    """Tags, the cover picture if any, and the picture's codec name (`mjpeg`, `png`)."""
    with open_input(path) as container:
        tags = clean_tags(container.metadata)
        for stream in container.streams.audio:  # Ogg keeps them there
            tags = {**clean_tags(stream.metadata), **tags}
        cover = next((s for s in container.streams.video if s.disposition & _attached()), None)
        data = next((bytes(p) for p in container.demux(cover) if p.size), None) if cover else None
        codec = cover.codec_context.name if cover else ""
    return {key: value for key, value in tags.items() if key not in _OWN}, data, codec


def strings_for(source: Path, target: Path) -> dict[str, str]:
    """The tags that libsndfile must write from the start: those of Ogg, as a copy loses its exact length."""
    if target.suffix.lower() != ".ogg":
        return {}
    try:
        tags, _, _ = read_tags(source)
    except _UNREADABLE:
        return {}
    return {own: tags[name] for name, own in _OGG_STRINGS.items() if name in tags}


def copy_tags(source: Path, path: Path) -> None:
    """Put the tags of `source` into the finished file `path`, and its cover where the format can hold it.

    The audio is copied, not encoded again. What cannot be carried over is left out. For Ogg see
    `strings_for`.

    Raises:
        UserError: the disk is full.
    """
    import av

    if path.suffix.lower() == ".ogg":
        return
    try:
        tags, cover, codec = read_tags(source)
    except _UNREADABLE:
        return  # tags that cannot be read are no reason to lose the song
    cover = cover if path.suffix.lower() in _WITH_COVER and codec in ("mjpeg", "png") else None
    if not tags and cover is None:
        return
    try:
        with atomic_path(path) as copy:
            _remux(path, copy, tags, source if cover else None)
    except OSError as error:
        if isinstance(error, av.FFmpegError):
            return
        raise UserError(f"cannot write into {path.parent} ({error.strerror}); make room there") from error
    except (ValueError, LookupError, RuntimeError):
        return


def _attached() -> Any:
    from av.stream import Disposition

    return Disposition.attached_pic


def _remux(path: Path, copy: Path, tags: dict[str, str], cover_from: Path | None) -> None:
    import av

    with av.open(str(path)) as audio:
        source = audio.streams.audio[0]
        form = m4a_format(source.rate) if path.suffix.lower() == ".m4a" else {}
        with av.open(str(copy), "w", **form) as out:
            out.metadata.update(tags)
            target = out.add_stream_from_template(source)
            if cover_from is not None:
                _add_cover(out, cover_from)
            for packet in audio.demux(source):
                if packet.dts is not None:
                    packet.stream = target
                    out.mux(packet)


def _add_cover(out: Any, cover_from: Path) -> None:
    with open_input(cover_from) as container:
        picture = next(s for s in container.streams.video if s.disposition & _attached())
        target = out.add_stream_from_template(picture)
        target.disposition = _attached().value  # PyAV 15 and 16 take a number only
        packet = next(p for p in container.demux(picture) if p.size)
        packet.stream = target
        packet.pts = packet.dts = 0
        out.mux(packet)
