"""Crops, gains and rolls of training clips."""

import pytest
import torch

from cyclegan_audio.corpus.build.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.data.sampler import ClipView, PairIndex, sample_epoch_pairs
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_genres
from tests.data.serving import make, served


def test_crops_are_cuts_of_the_clip(corpus):
    data = make(corpus, crop_frames=30)
    whole = data.mel.normalise(corpus.mel_db(data.clips("train")[0][0]))
    starts = set()
    for epoch in range(40):
        for batch in served(data, epoch):
            assert batch["real_a"].shape[-1] == data.window_frames == 32
            if int(batch["index_a"]) == 0:
                windows = whole.unfold(1, 30, 1).movedim(1, 0)  # (starts, M, 30)
                (start,) = (windows == batch["real_a"][0, 0, :, :30]).all((1, 2)).nonzero()
                starts.add(int(start))
    assert len(starts) > 15
    assert max(starts) <= corpus.clip_frames - 30


def test_gain_is_added_in_db_and_the_roll_moves_the_end_to_the_front(corpus):
    data = make(corpus, crop_frames=4)
    clip = data.clips("train")[0][3]
    mel_db = torch.arange(128 * corpus.clip_frames).reshape(128, -1) / 100 - 90.0  # rises to 20 dB
    data.train_data.cache["a"][3] = (mel_db, (-100.0, 30.0))
    assert clip.genre == "lofi"
    item = data.train_data[PairIndex(ClipView(3, start=1, shift=3, gain_db=-6.5), ClipView(0))]
    last = corpus.clip_frames - 1
    expected_db = mel_db[:, [last - 1, last, 0, 1]] - 6.5
    torch.testing.assert_close(item["real_a"][0], (expected_db + 100) / 65 - 1)
    loud = data.train_data[PairIndex(ClipView(3, gain_db=200.0), ClipView(0))]
    assert torch.equal(loud["real_a"], torch.ones(1, 128, 4))  # clipped at the top of the range
    assert loud["range_db_a"].tolist() == [-100, 30]


def test_gains_and_rolls_fill_their_ranges_and_leave_pairs_and_crops_alone():
    plain = sample_epoch_pairs(400, 30, 5, seed=1, epoch=2)
    draws = sample_epoch_pairs(400, 30, 5, seed=1, epoch=2, n_rolls=50, gain_db=6.0)
    assert [(a[:2], b[:2]) for a, b in draws] == [(a[:2], b[:2]) for a, b in plain]
    assert {take[2:] for draw in plain for take in draw} == {(0, 0.0)}
    for takes in zip(*draws, strict=True):
        gains = [take.gain_db for take in takes]
        assert -6 <= min(gains) < -5.8
        assert 5.8 < max(gains) <= 6
        assert {take.shift for take in takes} == set(range(50))
    assert [draw.a.shift for draw in draws] != [draw.b.shift for draw in draws]


def test_each_augmentation_alone_draws_what_it_draws_beside_the_other():
    both = sample_epoch_pairs(20, 20, 1, seed=0, epoch=0, n_rolls=50, gain_db=6.0)
    rolled = sample_epoch_pairs(20, 20, 1, seed=0, epoch=0, n_rolls=50)
    louder = sample_epoch_pairs(20, 20, 1, seed=0, epoch=0, gain_db=6.0)
    assert [draw.a.shift for draw in rolled] == [draw.a.shift for draw in both]
    assert [draw.b.gain_db for draw in louder] == [draw.b.gain_db for draw in both]


def test_validation_is_not_augmented(corpus):
    plain, augmented = make(corpus), make(corpus, gain_db=6, time_shift=True)
    for one, other in zip(plain.held_out_batches(), augmented.held_out_batches(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(served(plain)[0]["real_a"], served(augmented)[0]["real_a"])


def test_gain_is_refused_where_each_clip_has_its_own_range(tmp_path, settings, paper):
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(mel=paper))
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4, gain_db=3.0)
    with pytest.raises(UserError, match=r"data.gain_db=3.0 does nothing for mel paper"):
        data.setup("fit")
