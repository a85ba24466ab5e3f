"""Tests of all rules together: reasons and features of a clip, a track and a corpus."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.corpus.preparation.clip_stream import RawClip
from cyclegan_audio.corpus.screening import ScreeningRules, Silence, SongChange, VoiceActivity
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import load_mel

RATE = 44_100
MEL = load_mel("hifi")


def raw_clip(channels: torch.Tensor, start_s: float = 0.0) -> RawClip:
    mono = channels.mean(0)
    seconds = channels.shape[1] / RATE
    return RawClip(start_s, seconds, channels, RATE, mono, RATE, MEL.mel_db(mono[None])[0])


def noise(seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(2, 2 * RATE, generator=torch.Generator().manual_seed(seed))


def with_opposed_clicks(wave: torch.Tensor, value: float) -> torch.Tensor:
    """Return a waveform with two clicks whose sum is 0, so that it has no DC offset."""
    wave = wave.clone()
    wave[:, 5], wave[:, 6] = value, -value
    return wave


def test_a_good_clip_is_kept_with_its_features():
    reason, features = ScreeningRules().check_clip(raw_clip(noise()))
    assert reason == ""
    assert set(features) == {"level_db", "fingerprint", "loudness_lufs", "bandwidth_hz", "timbre"}
    assert features["level_db"] == pytest.approx(-23.0, abs=0.1)  # a mean of two noises of 0.1
    assert features["bandwidth_hz"] > 21_000
    without = ScreeningRules(song_change=SongChange(enabled=False)).check_clip(raw_clip(noise()))[1]
    assert set(without) == set(features) - {"timbre"}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda x: 0 * x, "silence"),
        (lambda x: (20 * x).clamp(-1, 1), "clipping"),
        (lambda x: x + 0.05, "dc offset"),
        (lambda x: x * torch.tensor([[1.0], [0.0]]), "dead channel"),
        (lambda x: torch.cat([x[:1], -x[:1]]), "phase cancellation"),  # before silence
        (lambda x: torch.cat([x[:, :RATE], 0 * x[:, RATE:]], 1), "gap"),
        (lambda x: x.clone().index_fill_(1, torch.tensor([5]), torch.nan), "non-finite samples"),
        (lambda x: with_opposed_clicks(x, 1e20), "samples above 1,000,000"),
        (lambda x: with_opposed_clicks(x, 1.1e6), "samples above 1,000,000"),
    ],
)
def test_the_first_rejecting_rule_gives_the_reason(damage, reason):
    actual, features = ScreeningRules().check_clip(raw_clip(damage(noise())))
    assert actual == reason
    assert set(features) == {"level_db"}


def test_disabled_rules_reject_nothing():
    rules = ScreeningRules(silence=Silence(enabled=False))
    assert rules.check_clip(raw_clip(0 * noise()))[0] == "gap"
    mono = noise()[:1].expand(2, -1)
    assert ScreeningRules().check_clip(raw_clip(mono))[0] == ""
    on = dataclasses.replace(ScreeningRules().dual_mono, enabled=True)
    assert ScreeningRules(dual_mono=on).check_clip(raw_clip(mono))[0] == "dual mono"


def test_a_mel_without_audio_has_a_fingerprint_only():
    alone = dataclasses.replace(raw_clip(noise()), channels=None, mono=None)
    reason, features = ScreeningRules().check_clip(alone)
    assert (reason, set(features)) == ("", {"fingerprint"})


def test_a_track_is_checked_with_all_its_clips(monkeypatch):
    calls = []

    def fake_rejects(self, starts_s, durations_s, clips):
        calls.append((starts_s, durations_s, clips))
        return [False, True]

    monkeypatch.setattr(SongChange, "rejects", fake_rejects)
    clips = [SimpleNamespace(flux=[0.0] * n, rate_hz=10.0) for n in (40, 20)]
    features = [{"timbre": clips[0]}, {"level_db": -1.0}, {"timbre": clips[1]}]
    assert ScreeningRules().check_track([0.0, 4.0, 8.0], features) == ["", "", "change of song"]
    assert calls == [([0.0, 8.0], [4.0, 2.0], clips)]


def test_the_clips_of_all_files_are_compared():
    fingerprint = ScreeningRules().check_clip(raw_clip(noise()))[1]["fingerprint"]
    clip = {"start_s": 0.0, "duration_s": 2.0, "reason": "", "fingerprint": fingerprint}

    def file(array: str, score: str | None = None, **changes) -> SimpleNamespace:
        values = {"array": array, "content": array, "genre": "lofi", "score": score}
        return SimpleNamespace(**values, clips=[clip | changes], clip_id=lambda clip: f"{array} 0")

    files = [file("a"), file("b"), file("c"), file("d", fingerprint="")]
    in_training = dict.fromkeys(["a 0", "b 0", "c 0", "d 0"], "train")
    assert ScreeningRules().check_corpus(files, in_training) == {"c 0": "near-duplicate"}
    assert ScreeningRules().check_corpus(files, {"b 0": "train", "c 0": "train"}) == {}
    assert ScreeningRules().check_corpus(files, in_training | {"c 0": "val"}) == {
        "a 0": "near-duplicate",
        "b 0": "near-duplicate",
    }
    scores = [file("a"), file("b", score="s"), file("c", score="s")]
    paired = {"a 0": "test", "b 0": "paired", "c 0": "paired"}
    assert ScreeningRules().check_corpus(scores, paired) == {"a 0": "near-duplicate"}
    off = dataclasses.replace(ScreeningRules().near_duplicates, enabled=False)
    assert ScreeningRules(near_duplicates=off).check_corpus(files, in_training) == {}


def test_invalid_settings_are_refused():
    with pytest.raises(UserError, match=r"screening\.silence\.level_db must be a number, got 'loud'"):
        ScreeningRules(silence=Silence(level_db="loud"))
    with pytest.raises(UserError, match=r"screening\.silence\.enabled=1 is not a switch; use true or false"):
        ScreeningRules(silence=Silence(enabled=1))
    with pytest.raises(UserError, match=r"screening\.bandwidth_range_db must be a number, got nan"):
        ScreeningRules(bandwidth_range_db=float("nan"))
    assert ScreeningRules().voice == VoiceActivity(enabled=False)
    assert "near_duplicates" not in ScreeningRules().per_file_settings
    assert set(ScreeningRules().per_file_settings) == {f.name for f in dataclasses.fields(ScreeningRules)} - {
        "near_duplicates"
    }
