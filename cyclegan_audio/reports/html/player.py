"""Player that switches between versions of the same music, such as before and after, over spectrograms."""

import dataclasses

from cyclegan_audio.reports.html.page import template_environment

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of the music.

    Attributes:
        label: what the switch says, e.g. before.
        sound: the encoded audio.
        media_type: of the sound, e.g. audio/mpeg.
        spectrogram_png: a picture whose width is the whole duration, without axes.
    """

    label: str
    sound: bytes
    media_type: str
    spectrogram_png: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the picture in pixels; it is never shown larger."""
        return png_size(self.spectrogram_png)


@dataclasses.dataclass(frozen=True)
class Player:
    """A player; its versions start together and should be equally loud.

    Attributes:
        title: text above; may be empty.
        versions: at least one; the first is heard first.
        seconds: duration of the versions.
        loop: whether the music starts again at its end, for short clips.
    """

    title: str
    versions: tuple[Version, ...]
    seconds: float
    loop: bool = False


def player_html(player: Player) -> str:
    """Return the HTML of a player for a page that contains `player.css` and, at its end, `player.js` once."""
    template = template_environment().get_template("player.html.j2")
    return str(template.make_module().show_player(player))  # type: ignore[attr-defined]


def player_page(player: Player) -> str:
    """Return a player as a whole page that needs no other file, e.g. for the `srcdoc` of an iframe."""
    title = player.title or "Player"
    return template_environment().get_template("player_page.html.j2").render(title=title, player=player)


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG image in pixels.

    Raises:
        ValueError: these bytes are no PNG image.
    """
    if png[:8] != PNG_SIGNATURE or png[12:16] != b"IHDR":
        raise ValueError("not a PNG image")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
