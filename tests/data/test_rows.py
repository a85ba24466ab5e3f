from cyclegan_audio.data.rows import GUARD, NOT_DRAWN, most_lost


def rows(genre: str, source: str, *reasons: str) -> list[dict[str, str]]:
    return [{"genre": genre, "source": source, "reason": reason} for reason in reasons]


def test_songs_that_lost_most_clips_to_screening():
    found = [
        *rows("trap", "a.mp3", "", "silence", "silence", "voice"),
        *rows("trap", "b.mp3", *[NOT_DRAWN] * 9, GUARD),  # nothing is wrong with these
        *rows("lofi", "a.mp3", "silence", ""),
        *rows("lofi", "c.mp3", "cannot be read"),
        *rows("lofi", "d.mp3", "silence", "voice", "voice", "voice", "voice"),
        *rows("lofi", "e.mp3", ""),
    ]
    assert most_lost(found) == [
        "lofi: d.mp3 lost 5 of 5 clips, most for voice",
        "trap: a.mp3 lost 3 of 4 clips, most for silence",
        "lofi: a.mp3 lost 1 of 2 clips, most for silence",
    ]
    assert most_lost(rows("lofi", "e.mp3", "")) == []
