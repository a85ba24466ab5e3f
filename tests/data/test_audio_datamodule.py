"""Segments of audio for what learns from waveforms: which are drawn, and how they are cut."""

from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.data.audio_datamodule import (
    AudioSegmentDataset,
    Segment,
    SegmentDataModule,
    sample_segments,
)
from cyclegan_audio.utils.errors import UserError


def test_an_epoch_takes_every_clip_once_and_is_never_louder():
    drawn = sample_segments(2000, 7, 12.0, seed=1, epoch=2)
    assert sorted(segment.place for segment in drawn) == list(range(2000))
    assert {segment.start for segment in drawn} == set(range(7))
    gains_db = [segment.gain_db for segment in drawn]
    assert -12 <= min(gains_db) < -11.9
    assert -0.1 < max(gains_db) <= 0
    assert sum(gains_db) / 2000 == pytest.approx(-6, abs=0.3)
    assert drawn == sample_segments(2000, 7, 12.0, seed=1, epoch=2)
    for seed, epoch in ((2, 2), (1, 3)):
        assert drawn != sample_segments(2000, 7, 12.0, seed, epoch)


def test_a_segment_is_cut_and_made_quieter():
    wave = torch.arange(10.0)
    corpus = SimpleNamespace(audio=lambda clip: wave + 100 * clip)
    segments = AudioSegmentDataset(corpus, [0, 1], 4)
    assert segments[Segment(1, 3)].tolist() == [103, 104, 105, 106]
    torch.testing.assert_close(segments[Segment(0, 6, -20.0)], torch.tensor([0.6, 0.7, 0.8, 0.9]))
    assert torch.equal(AudioSegmentDataset(corpus, [0], None)[Segment(0)], wave)


def module(corpus, **changes) -> SegmentDataModule:
    usual = {"segment_frames": 16, "batch_size": 5, "max_cut_db": 6.0, "val_clips": 3}
    return SegmentDataModule(corpus.folder, **usual | changes)


def test_batches_hold_segments_of_all_genres_from_any_start(corpus):
    data = module(corpus)
    data.setup()
    hop, n_clips = corpus.mel.hop_length, len(data.clips("train"))
    assert [batch.shape for batch in data.train_dataloader()] == [(5, 16 * hop)] * (n_clips // 5) + (
        [(n_clips % 5, 16 * hop)] if n_clips % 5 else []
    )
    assert {clip.genre for clip in data.clips("train")} == {"lofi", "trap"}
    n_starts = corpus.clip_samples - 16 * hop + 1
    data.set_epoch(3)
    assert list(data.sampler) == sample_segments(n_clips, n_starts, 6.0, 0, 3)
    data.start_at(2)
    assert len(list(data.sampler)) == n_clips - 10
    sampler = data.sampler
    data.setup()
    assert data.sampler is sampler


@pytest.mark.parametrize(("val_clips", "places"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])])
def test_validation_takes_whole_clips_spread_over_the_genres(corpus, val_clips, places):
    data = module(corpus, val_clips=val_clips)
    clips = data.clips("val")
    assert len(clips) == 4
    batches = list(data.val_dataloader())
    assert len(batches) == len(places)
    for batch, place in zip(batches, places, strict=True):
        assert torch.equal(batch[0], corpus.audio(clips[place]))


def test_segments_fit_the_clips(corpus):
    n_frames = corpus.clip_samples // corpus.mel.hop_length
    assert module(corpus, segment_frames=n_frames).corpus.folder == corpus.folder
    with pytest.raises(UserError, match=f"segment_frames={n_frames + 1} does not fit"):
        _ = module(corpus, segment_frames=n_frames + 1).corpus


@pytest.mark.parametrize(
    ("setting", "least"),
    [("segment_frames", 8), ("batch_size", 1), ("max_cut_db", 0), ("val_clips", 1), ("num_workers", 0)],
)
def test_least_settings(corpus, setting, least):
    module(corpus, **{setting: least})
    with pytest.raises(UserError, match=rf"data\.{setting} must be .* >= {least}, got {least - 1}"):
        module(corpus, **{setting: least - 1})
