"""Read tags and the cover of an audio file, and copy them to another file."""

from pathlib import Path
from typing import Any

from cyclegan_audio.audio.containers import clean_tags, m4a_format, open_input
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError

_READ_ERRORS = (OSError, ValueError, LookupError, RuntimeError)
_COVER_SUFFIXES = (".mp3", ".flac", ".m4a")
_LIBSNDFILE_NAMES = {  # FFmpeg's name of a tag -> attribute of `soundfile.SoundFile`
    "track": "tracknumber",
    **{name: name for name in ("title", "artist", "album", "genre", "date")},
}
_FILE_TAGS = (  # they describe the file and its encoder, not the music
    "encoder", "encoded_by", "creation_time", "compatible_brands", "major_brand", "minor_version",
    "language", "handler_name", "vendor_id", "itunsmpb",
)  # fmt: skip


def read_tags(path: Path) -> tuple[dict[str, str], bytes | None, str]:
    """Return a file's tags, its cover as bytes or None, and the cover's codec (`mjpeg`, `png` or "")."""
    with open_input(path) as container:
        tags = clean_tags(container.metadata)
        for stream in container.streams.audio:  # Ogg stores tags in the stream
            tags = {**clean_tags(stream.metadata), **tags}
        stream = next((s for s in container.streams.video if s.disposition & _cover_disposition()), None)
        cover = next((bytes(p) for p in container.demux(stream) if p.size), None) if stream else None
        codec = stream.codec_context.name if stream else ""
    return {key: value for key, value in tags.items() if key not in _FILE_TAGS}, cover, codec


def tags_at_creation(source: Path, target: Path) -> dict[str, str]:
    """Return the tags of `source` that must be given when `target` is created, by libsndfile's names.

    Only an .ogg file needs this: a remuxed copy, as `copy_tags` makes it, loses the exact length.
    """
    if target.suffix.lower() != ".ogg":
        return {}
    try:
        tags, _, _ = read_tags(source)
    except _READ_ERRORS:
        return {}
    return {attribute: tags[name] for name, attribute in _LIBSNDFILE_NAMES.items() if name in tags}


def copy_tags(source: Path, path: Path) -> None:
    """Copy the tags of `source`, and its cover if the format can hold one, into the finished file `path`.

    The audio is copied, not encoded again. Tags that cannot be copied are left out. For .ogg use
    `tags_at_creation`.

    Raises:
        UserError: the disk is full.
    """
    import av

    if path.suffix.lower() == ".ogg":
        return
    try:
        tags, cover, codec = read_tags(source)
    except _READ_ERRORS:
        return  # the song is kept without its tags
    cover = cover if path.suffix.lower() in _COVER_SUFFIXES and codec in ("mjpeg", "png") else None
    if not tags and cover is None:
        return
    try:
        with atomic_path(path) as copy:
            _remux(path, copy, tags, source if cover else None)
    except OSError as error:
        if isinstance(error, av.FFmpegError):
            return
        raise UserError(
            f"cannot write into {path.parent} ({error.strerror}); free disk space there"
        ) from error
    except (ValueError, LookupError, RuntimeError):
        return


def _cover_disposition() -> Any:
    from av.stream import Disposition

    return Disposition.attached_pic


def _remux(path: Path, copy: Path, tags: dict[str, str], cover_from: Path | None) -> None:
    import av

    with av.open(str(path)) as audio:
        source = audio.streams.audio[0]
        options = m4a_format(source.rate) if path.suffix.lower() == ".m4a" else {}
        with av.open(str(copy), "w", **options) as out:
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
        cover = next(s for s in container.streams.video if s.disposition & _cover_disposition())
        target = out.add_stream_from_template(cover)
        target.disposition = _cover_disposition().value  # PyAV 15 and 16 take a number only
        packet = next(p for p in container.demux(cover) if p.size)
        packet.stream = target
        packet.pts = packet.dts = 0
        out.mux(packet)
