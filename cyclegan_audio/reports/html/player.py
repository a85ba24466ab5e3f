"""Player that switches between versions of the same music, such as before and after, over spectrograms."""

from cyclegan_audio.reports.html.page import Player, template_environment


def player_page(player: Player) -> str:
    """Return a player as a whole page that needs no other file, e.g. for the `srcdoc` of an iframe."""
    title = player.title or "Player"
    return template_environment().get_template("player_page.html.j2").render(title=title, player=player)
