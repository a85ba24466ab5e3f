"""Tests of audio segments for vocoders: how they are sampled and cut."""

from types import SimpleNamespace

import pytest
import torch

from cyclegan_audio.data.audio_datamodule import (
    AudioSegmentDataModule,
    AudioSegmentDataset,
    Segment,
    sample_segments,
)
from cyclegan_audio.utils.errors import UserError


def test_an_epoch_has_every_clip_once_with_gains_of_at_most_0_db():
    segments = sample_segments(2000, 7, 12.0, seed=1, epoch=2)
    assert sorted(segment.clip for segment in segments) == list(range(2000))
    assert {segment.start for segment in segments} == set(range(7))
    gains_db = [segment.gain_db for segment in segments]
    assert -12 <= min(gains_db) < -11.9
    assert -0.1 < max(gains_db) <= 0
    assert sum(gains_db) / 2000 == pytest.approx(-6, abs=0.3)
    assert segments == sample_segments(2000, 7, 12.0, seed=1, epoch=2)
    for seed, epoch in ((2, 2), (1, 3)):
        assert segments != sample_segments(2000, 7, 12.0, seed, epoch)


def test_a_segment_is_cropped_and_attenuated():
    wave = torch.arange(10.0)
    corpus = SimpleNamespace(audio=lambda clip: wave + 100 * clip)
    segments = AudioSegmentDataset(corpus, [0, 1], 4)
    assert segments[Segment(1, 3)].tolist() == [103, 104, 105, 106]
    torch.testing.assert_close(segments[Segment(0, 6, -20.0)], torch.tensor([0.6, 0.7, 0.8, 0.9]))
    assert torch.equal(AudioSegmentDataset(corpus, [0], None)[Segment(0)], wave)


def module(corpus, **changes) -> AudioSegmentDataModule:
    defaults = {"segment_frames": 16, "batch_size": 5, "max_cut_db": 6.0, "val_clips": 3}
    return AudioSegmentDataModule(corpus.folder, **defaults | changes)


def test_batches_have_segments_of_all_genres_from_any_start(corpus):
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
    assert data.train_dataloader().num_workers == data.val_dataloader().num_workers == 0
    data.skip_batches(2)
    assert len(list(data.sampler)) == n_clips - 10
    sampler = data.sampler
    data.setup()
    assert data.sampler is sampler


@pytest.mark.parametrize(("val_clips", "indices"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])])
def test_validation_has_whole_clips_spread_over_the_genres(corpus, val_clips, indices):
    data = module(corpus, val_clips=val_clips)
    clips = data.clips("val")
    assert len(clips) == 4
    batches = list(data.val_dataloader())
    assert len(batches) == len(indices)
    for batch, index in zip(batches, indices, strict=True):
        assert torch.equal(batch[0], corpus.audio(clips[index]))


def test_segments_longer_than_clips_are_refused(corpus):
    n_frames = corpus.clip_samples // corpus.mel.hop_length
    assert module(corpus, segment_frames=n_frames).corpus.folder == corpus.folder
    with pytest.raises(UserError, match=f"segment_frames={n_frames + 1} is longer than a clip"):
        _ = module(corpus, segment_frames=n_frames + 1).corpus


@pytest.mark.parametrize(
    ("setting", "minimum"),
    [("segment_frames", 8), ("batch_size", 1), ("max_cut_db", 0), ("val_clips", 1), ("num_workers", 0)],
)
def test_settings_have_minima(corpus, setting, minimum):
    module(corpus, **{setting: minimum})
    with pytest.raises(UserError, match=rf"data\.{setting} must be .* >= {minimum}, got {minimum - 1}"):
        module(corpus, **{setting: minimum - 1})
