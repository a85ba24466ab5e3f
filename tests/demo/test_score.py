"""Tests of composed scores: bars, timing, harmony, and the paired set."""

import pytest
from omegaconf import OmegaConf

from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.demo import GENRES, DemoSettings, bar_contents, compose_score, plan_demo_songs
from cyclegan_audio.demo.composition import INTERVALS, PROGRESSIONS, voice_chord
from cyclegan_audio.demo.score import MAIN_PARTS, Note
from cyclegan_audio.utils.errors import UserError


def test_no_two_songs_of_the_default_set_share_a_bar(tmp_path):
    cfg = OmegaConf.load(CONF_DIR / "source" / "demo.yaml")
    settings = {key: cfg[key] for key in ("seed", "songs_per_genre", "paired_scores", "seconds")}
    plan = plan_demo_songs(tmp_path, DemoSettings(**settings))
    scores = {song.score.score_id: song.score for song in plan}
    assert len(scores) == cfg.songs_per_genre * 3 + cfg.paired_scores
    owner = {}
    for score_id, score in scores.items():
        for bar in bar_contents(score):
            assert bar, f"{score_id} has an empty bar"
            assert owner.setdefault(bar, score_id) == score_id
    assert len(owner) > 6 * len(scores)  # about seven bars a song


def test_scores_depend_on_all_arguments():
    assert compose_score(3, 1, "rnb") == compose_score(3, 1, "rnb")
    others = [(4, 1, "rnb"), (3, 2, "rnb"), (3, 1, "lofi")]
    assert len({bar_contents(compose_score(*each))[0] for each in [(3, 1, "rnb"), *others]}) == 4


@pytest.mark.parametrize(
    ("genre", "low", "high"), [("lofi", 70, 88), ("trap", 65, 75), ("rnb", 60, 80), (None, 70, 75)]
)
def test_tempo_and_parts_are_in_range(genre, low, high):
    for index in range(10):
        score = compose_score(0, index, genre)
        assert low <= score.felt_bpm <= high
        assert score.chords[0].beat == 0
        assert (score.bars - 1) * 4 * score.beat_s < 32 <= score.bars * 4 * score.beat_s
        for name in MAIN_PARTS:
            assert len(score.events(name)) >= score.bars
            assert all(0 < event.velocity <= 1 and abs(event.offset_s) < 0.05 for event in score.events(name))
        notes = [note for note in (*score.chords, *score.bass, *score.melody) if isinstance(note, Note)]
        assert all(24 <= key <= 96 and note.length > 0 for note in notes for key in note.midi)


def test_swing_delays_by_its_share():
    score = compose_score(0, 0, "lofi")
    pair_s = score.beat_s / 2
    assert score.time_s(1.25) - score.time_s(1.0) == pytest.approx(score.swing * pair_s)
    assert score.time_s(1.5) == pytest.approx(1.5 * score.beat_s)
    compound = next(s for s in (compose_score(0, i, "rnb") for i in range(20)) if s.compound)
    assert compound.time_s(0.5) == pytest.approx(2 / 3 * compound.beat_s)
    assert compound.time_s(0.25) == pytest.approx(1 / 3 * compound.beat_s)


def test_all_chords_have_voicings():
    for style, pool in PROGRESSIONS.items():
        for progression in pool:
            for word in progression.split()[1:]:
                root, quality = word.split(":")
                keys = voice_chord(int(root), quality, 62.0)
                pitches = {(int(root) + tone) % 12 for tone in INTERVALS[quality]}
                assert {key % 12 for key in keys} <= pitches, (style, word)
                assert max(abs(key - 62) for key in keys) <= 6.5
                assert 3 <= len(keys) <= 4


def test_paired_songs_play_scores_of_no_other_song(tmp_path):
    settings = DemoSettings(0, songs_per_genre=2, paired_scores=2, seconds=8.0, genres=("lofi", "rnb"))
    plan = plan_demo_songs(tmp_path, settings)
    paired = [song for song in plan if "paired" in song.path.parts]
    assert [song.path.relative_to(tmp_path).as_posix() for song in paired] == [
        "paired/lofi/score_000.wav",
        "paired/rnb/score_000.wav",
        "paired/lofi/score_001.wav",
        "paired/rnb/score_001.wav",
    ]
    assert paired[0].score == paired[1].score != paired[2].score
    assert not {song.score.score_id for song in paired} & {song.score.score_id for song in plan[:4]}


@pytest.mark.parametrize(
    "changes",
    [
        {"genres": ("jazz",)},
        {"genres": ()},
        {"seconds": 1.0},
        {"seed": -1},
        {"genres": ("lofi", "lofi")},
        {"songs_per_genre": 0, "paired_scores": 0},
        {"songs_per_genre": -1, "paired_scores": 2},
    ],
)
def test_invalid_settings_are_refused(changes):
    settings = {"seed": 0, "songs_per_genre": 1, "paired_scores": 1, "seconds": 8.0}
    with pytest.raises(UserError, match=r"choose|more"):
        DemoSettings(**(settings | changes))


def test_there_are_three_genres():
    assert GENRES == ("lofi", "trap", "rnb")
