"""Tests of rendered songs: level, onsets at the described times, and separable genres."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, stft
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cyclegan_audio.demo import GENRES, SAMPLE_RATE_HZ, compose_score, render_song
from cyclegan_audio.demo.effects import loudness_db
from cyclegan_audio.demo.score import Hit
from cyclegan_audio.utils.errors import UserError

SECONDS = 12.0
SONGS = 4


@pytest.fixture(scope="module")
def songs():
    return {
        genre: [
            render_song(compose_score(11, index, genre, SECONDS), genre, SECONDS) for index in range(SONGS)
        ]
        for genre in GENRES
    }


def band_share_db(audio, low_hz, high_hz):
    power = np.abs(np.fft.rfft(audio.mean(axis=0))) ** 2
    hz = np.fft.rfftfreq(audio.shape[1], 1 / SAMPLE_RATE_HZ)
    return 10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum())


def test_level_length_and_fades(songs):
    for audio, events in (song for each in songs.values() for song in each):
        assert audio.shape == (2, round(SECONDS * SAMPLE_RATE_HZ))
        assert audio.dtype == np.float32
        assert np.isfinite(audio).all()
        assert 0.2 < np.abs(audio).max() <= 0.99
        assert abs(loudness_db(audio) + 16) < 1.0
        assert np.abs(audio[:, -441:]).max() < 0.02
        first = min(times[0] for times in events["onsets_s"].values() if times)
        assert first < 60 / events["felt_bpm"]
        beat = round(60 / events["felt_bpm"] * SAMPLE_RATE_HZ)
        assert np.abs(audio[:, :beat]).max() > 0.03
        assert np.corrcoef(audio)[0, 1] < 0.999  # stereo


def test_spectra_differ_between_genres(songs):
    top = {g: np.mean([band_share_db(audio, 10_000, 20_000) for audio, _ in songs[g]]) for g in GENRES}
    upper = {g: np.mean([band_share_db(audio, 6_000, 9_000) for audio, _ in songs[g]]) for g in GENRES}
    assert top["trap"] > top["rnb"] + 8
    assert top["trap"] > top["lofi"] + 8
    assert upper["rnb"] > upper["lofi"] + 3
    hats = {
        g: np.mean([len(events["onsets_s"].get("hat_closed", ())) for _, events in songs[g]]) for g in GENRES
    }
    assert hats["trap"] > 2 * max(hats["lofi"], hats["rnb"])


@pytest.mark.parametrize("genre", GENRES)
def test_drum_onsets_are_within_5_ms_of_their_description(genre):
    beats = [0.5, 2.25, 4.0, 6.75, 9.0]
    score = compose_score(5, 0, None, 10.0)
    alone = replace(
        score,
        chords=(), bass=(), melody=(), kick=(), harmony=score.harmony,
        snare=tuple(Hit(beat, 0.9, 0.004) for beat in beats),
        hats=(False,) * score.bars,
    )  # fmt: skip
    audio, events = render_song(alone, genre, 10.0)
    recorded = events["onsets_s"]["snare"]
    assert recorded == pytest.approx([score.time_s(beat) + 0.004 for beat in beats], abs=1e-4)
    level = np.abs(sosfilt(butter(2, 3000, "lowpass", fs=SAMPLE_RATE_HZ, output="sos"), audio.mean(axis=0)))
    for onset_s in recorded:
        around = level[round((onset_s - 0.05) * SAMPLE_RATE_HZ) : round((onset_s + 0.03) * SAMPLE_RATE_HZ)]
        detected_s = onset_s - 0.05 + int(np.argmax(around > 0.2 * around.max())) / SAMPLE_RATE_HZ
        assert abs(detected_s - onset_s) < 0.005


def test_a_score_has_the_same_main_onsets_in_all_genres():
    score = compose_score(2, 0, None, 8.0)
    played = {genre: render_song(score, genre, 8.0) for genre in GENRES}
    assert len({audio.shape for audio, _ in played.values()}) == 1
    for part in ("kick", "snare", "chords", "bass", "melody"):
        assert len({tuple(events["onsets_s"][part]) for _, events in played.values()}) == 1
    assert played["trap"][1]["tempo_bpm"] == pytest.approx(2 * played["lofi"][1]["tempo_bpm"])
    assert (
        len(
            {
                tuple(events["onsets_s"]["hat_closed"])
                for _, events in played.values()
                if "hat_closed" in events["onsets_s"]
            }
        )
        >= 2
    )
    a, b = played["lofi"][0].mean(axis=0), played["trap"][0].mean(axis=0)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.8


def test_an_unknown_genre_is_refused():
    with pytest.raises(UserError, match="choose from lofi"):
        render_song(compose_score(0), "jazz")


def clip_features(clip):
    """Statistics over time of 32 bands up to 5.5 kHz of a clip (T,) at equal RMS."""
    _, _, spectrum = stft(clip / np.sqrt((clip**2).mean()), SAMPLE_RATE_HZ, nperseg=2048, noverlap=1024)
    edges = np.unique(np.geomspace(3, 255, 33).round().astype(int))
    power = np.add.reduceat(np.abs(spectrum[:256]) ** 2, edges[:-1], axis=0)
    level = 10 * np.log10(power + 1e-8)
    steps = np.diff(level, axis=1)
    return np.concatenate([level.mean(1), level.std(1), *np.percentile(steps, [10, 50, 90, 98], axis=1)])


def test_clips_of_equal_level_and_bandwidth_have_separable_genres(songs):
    low = butter(8, 5500, "lowpass", fs=SAMPLE_RATE_HZ, output="sos")
    features, labels, groups = [], [], []
    for label, genre in enumerate(GENRES):
        for index, (audio, _) in enumerate(songs[genre]):
            for clip in np.split(sosfilt(low, audio.mean(axis=0)), 3):
                features.append(clip_features(clip))
                labels.append(label)
                groups.append(index)
    x, y, group = np.array(features), np.array(labels), np.array(groups)
    n_correct = 0
    for held_out in range(SONGS):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
        model.fit(x[group != held_out], y[group != held_out])
        n_correct += int((model.predict(x[group == held_out]) == y[group == held_out]).sum())
    assert n_correct / len(y) >= 0.9
