from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from noise_songs import write_genres

from cyclegan_audio.config import compose
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.data.sampler import Draw, Take, draw_epoch
from cyclegan_audio.data.sources import FolderSource
from cyclegan_audio.data.writer import prepare_corpus
from cyclegan_audio.errors import UserError


def make(corpus, **changes) -> UnpairedMelDataModule:
    data = UnpairedMelDataModule(corpus.folder, "lofi", "trap", **{"frame_multiple": 4, **changes})
    data.setup("fit")
    return data


def served(data, epoch: int = 0) -> list[dict[str, torch.Tensor]]:
    data.set_epoch(epoch)
    return list(data.train_dataloader())


def pairs(batches) -> list[tuple[int, int]]:
    return [pair for b in batches for pair in zip(b["index_a"].tolist(), b["index_b"].tolist(), strict=True)]


def test_batches_have_the_stated_shapes(corpus):
    batch = served(make(corpus, batch_size=3))[0]
    frames = corpus.clip_frames + -corpus.clip_frames % 4
    for side in "ab":
        assert batch[f"real_{side}"].shape == (3, 1, 128, frames)
        assert batch[f"real_{side}"].abs().max() <= 1
        assert batch[f"range_db_{side}"].tolist() == [[-100, 30]] * 3
        assert batch[f"index_{side}"].dtype == torch.int64
    assert make(corpus).window_frames == frames


def test_an_item_is_its_clip_played_forwards(corpus):
    data = make(corpus)
    for batch in served(data)[:5]:
        for side, clips in zip("ab", data.clips("train"), strict=True):
            clip = clips[int(batch[f"index_{side}"])]
            mel_db = data.mel.denormalise(batch[f"real_{side}"][0, 0])
            expected = corpus.mel_db(clip).clamp(-100, 30)
            assert torch.allclose(mel_db[:, : expected.shape[1]], expected, atol=1e-3)
            extra = mel_db.shape[1] - expected.shape[1]
            assert torch.equal(
                mel_db[:, expected.shape[1] :], mel_db[:, expected.shape[1] - 1 - extra : -1 - extra].flip(1)
            )


def test_an_epoch_goes_once_over_a_and_draws_b(corpus):
    data = make(corpus)
    counts_b: Counter[int] = Counter()
    for epoch in range(30):
        drawn = pairs(served(data, epoch))
        assert sorted(a for a, _ in drawn) == list(range(16))
        counts_b.update(b for _, b in drawn)
    assert set(counts_b) == set(range(16))
    assert max(counts_b.values()) < 3 * min(counts_b.values())  # 30 each on average
    assert len({b for _, b in pairs(served(data, 0))}) < 16  # drawn with replacement


def test_pairs_follow_from_seed_and_epoch_alone(corpus):
    varied = {"crop_frames": 32, "gain_db": 6.0, "time_roll": True}
    plain = make(corpus, **varied)
    workers = make(corpus, **varied, num_workers=2, cache_mb=0)
    loader = workers.train_dataloader()
    for epoch in (0, 1):
        workers.set_epoch(epoch)
        for one, other in zip(served(plain, epoch), loader, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one)
    assert pairs(served(plain, 0)) == pairs(served(plain, 0))
    assert pairs(served(plain, 0)) != pairs(served(plain, 1))
    assert pairs(served(plain, 0)) != pairs(served(make(corpus, **varied, seed=1), 0))


@pytest.mark.parametrize(
    ("changes", "device"),
    [
        ({"on_device": True}, "meta"),
        ({"on_device": False}, "cpu"),
        ({}, "cpu"),  # auto: this device is not CUDA
        ({"on_device": True, "cache_mb": 0}, "cpu"),
    ],
)
def test_kept_mels_lie_where_they_are_wanted(corpus, changes, device):
    data = UnpairedMelDataModule(
        corpus.folder, "lofi", "trap", frame_multiple=4, crop_frames=32, time_roll=True, **changes
    )
    data.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("meta")), global_rank=0, world_size=1
    )
    data.setup("fit")
    batch = served(data)[0]
    assert {batch[f"real_{side}"].device.type for side in "ab"} == {device}
    assert batch["real_a"].shape == (1, 1, 128, 32)


@pytest.mark.gpu
def test_batches_of_mels_on_the_device_are_those_of_the_cpu(corpus):
    device = torch.device("cuda")
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device), global_rank=0, world_size=1)
    varied = {"frame_multiple": 4, "crop_frames": 32, "gain_db": 6.0, "time_roll": True, "batch_size": 2}
    data = UnpairedMelDataModule(corpus.folder, "lofi", "trap", **varied)
    data.trainer = trainer
    data.setup("fit")
    for there, here in zip(served(data), served(make(corpus, **varied)), strict=True):
        assert there["real_a"].device.type == "cuda"
        for name, value in here.items():
            torch.testing.assert_close(there[name].cpu(), value)


def test_global_random_state_is_left_alone(corpus):
    data = make(corpus)
    torch.manual_seed(1)
    first = pairs(served(data))
    torch.manual_seed(2)
    assert pairs(served(data)) == first


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
    item = data.train_data[Draw(Take(3, start=1, roll=3, gain_db=-6.5), Take(0))]
    last = corpus.clip_frames - 1
    expected_db = mel_db[:, [last - 1, last, 0, 1]] - 6.5
    torch.testing.assert_close(item["real_a"][0], (expected_db + 100) / 65 - 1)
    loud = data.train_data[Draw(Take(3, gain_db=200.0), Take(0))]
    assert torch.equal(loud["real_a"], torch.ones(1, 128, 4))  # clipped at the top of the range
    assert loud["range_db_a"].tolist() == [-100, 30]


def test_gains_and_rolls_fill_their_ranges_and_leave_pairs_and_crops_alone():
    plain = draw_epoch(400, 30, 5, seed=1, epoch=2)
    draws = draw_epoch(400, 30, 5, seed=1, epoch=2, n_rolls=50, gain_db=6.0)
    assert [(a[:2], b[:2]) for a, b in draws] == [(a[:2], b[:2]) for a, b in plain]
    assert {take[2:] for draw in plain for take in draw} == {(0, 0.0)}
    for takes in zip(*draws, strict=True):
        gains = [take.gain_db for take in takes]
        assert -6 <= min(gains) < -5.8
        assert 5.8 < max(gains) <= 6
        assert {take.roll for take in takes} == set(range(50))
    assert [draw.a.roll for draw in draws] != [draw.b.roll for draw in draws]


def test_each_augmentation_alone_draws_what_it_draws_beside_the_other():
    both = draw_epoch(20, 20, 1, seed=0, epoch=0, n_rolls=50, gain_db=6.0)
    rolled = draw_epoch(20, 20, 1, seed=0, epoch=0, n_rolls=50)
    louder = draw_epoch(20, 20, 1, seed=0, epoch=0, gain_db=6.0)
    assert [draw.a.roll for draw in rolled] == [draw.a.roll for draw in both]
    assert [draw.b.gain_db for draw in louder] == [draw.b.gain_db for draw in both]


def test_validation_is_not_augmented(corpus):
    plain, augmented = make(corpus), make(corpus, gain_db=6, time_roll=True)
    for one, other in zip(plain.held_out_batches(), augmented.held_out_batches(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(served(plain)[0]["real_a"], served(augmented)[0]["real_a"])


def test_gain_is_refused_where_each_clip_has_its_own_range(tmp_path, settings, paper):
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(mel=paper))
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4, gain_db=3.0)
    with pytest.raises(UserError, match=r"data.gain_db=3.0 does nothing for mel paper"):
        data.setup("fit")


def test_goes_on_in_the_middle_of_an_epoch(corpus):
    whole, later = make(corpus, batch_size=2), make(corpus, batch_size=2)
    later.start_at(3)
    assert pairs(served(later, 4)) == pairs(served(whole, 4))[6:]
    assert pairs(served(later, 5)) == pairs(served(whole, 5))
    assert len(later.train_dataloader()) == 8


def test_validation_pairs_are_fixed_whole_clips(corpus):
    data = make(corpus, crop_frames=32, val_pairs=8)
    first = list(data.held_out_batches())
    data.set_epoch(3)
    assert pairs(first) == pairs(data.held_out_batches())
    assert sorted(a for a, _ in pairs(first)) == [0, 1]  # two clips in the split, no repeats
    assert first[0]["real_a"].shape[-1] == corpus.clip_frames + -corpus.clip_frames % 4
    val_clips = {clip.clip_id for clips in data.clips("val") for clip in clips}
    assert not val_clips & {clip.clip_id for clips in data.clips("train") for clip in clips}


def test_without_validation_clips_training_clips_stand_in(tmp_path, settings, caplog):
    prepare_corpus(FolderSource(write_genres(tmp_path, tracks=1, seconds=1.1)), tmp_path / "out", settings())
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4)
    data.setup("fit")
    assert "no validation clips" in caplog.text
    assert pairs(data.held_out_batches()) == [(0, 0)]


def test_scaling_per_clip_keeps_each_range(tmp_path, settings, paper):
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(mel=paper))
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4)
    data.setup("fit")
    batch = served(data)[0]
    clip = data.clips("train")[0][int(batch["index_a"])]
    assert batch["range_db_a"].tolist()[0] == pytest.approx([clip.min_db, clip.max_db])
    assert (float(batch["real_a"].min()), float(batch["real_a"].max())) == (-1, 1)
    mel_db = data.mel.denormalise(batch["real_a"][0, 0], tuple(batch["range_db_a"][0].tolist()))
    assert torch.allclose(mel_db[:, : data.corpus.clip_frames], data.corpus.mel_db(clip), atol=1e-3)


def test_configuration_builds_it(corpus, hifi):
    overrides = [f"corpus={corpus.folder}", "mel=hifi", "data.batch_size=2"]
    data = instantiate(compose("train", overrides).data, frame_multiple=4)
    assert data.genres == ("lofi", "trap")
    assert data.mel == hifi
    assert data.batch_size == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genre_b": "rnb"}, "no genre 'rnb'"),
        ({"genre_b": "lofi"}, "both genres are 'lofi'"),
        ({"crop_frames": 1000}, "does not fit clips of 86 frames"),
        ({"crop_frames": 2}, "crop_frames=2 is not a whole number at least 4"),
        ({"gain_db": -1.0}, "gain_db=-1.0 is not a number at least 0"),
        ({"on_device": "gpu"}, "data.on_device=gpu is not known; choose true, false or auto"),
        ({"on_device": True, "num_workers": 1}, "choose data.num_workers=0"),
        ({"corpus": "nowhere"}, "nowhere is not a corpus"),
    ],
)
def test_bad_input(corpus, changes, message):
    values = {"corpus": corpus.folder, "genre_a": "lofi", "genre_b": "trap", "frame_multiple": 4} | changes
    with pytest.raises(UserError, match=message):
        UnpairedMelDataModule(**values).setup("fit")


def test_a_corpus_with_another_mel_is_refused(corpus, paper):
    with pytest.raises(UserError, match="hop_length 1024 against 512"):
        make(corpus, mel=paper)
    overrides = [f"corpus={corpus.folder}", "mel=paper"]
    with pytest.raises(UserError, match="sample_rate 48000 against 44100"):
        instantiate(compose("train", overrides).data, frame_multiple=4).setup("fit")


def test_a_genre_without_training_clips_is_refused(corpus):
    data = UnpairedMelDataModule(corpus.folder, "lofi", "trap", frame_multiple=4)
    corpus_without = type(corpus).open(corpus.folder)
    corpus_without._clips = [c for c in corpus_without._clips if (c.genre, c.split) != ("trap", "train")]
    with pytest.raises(UserError, match="no training clips of trap"):
        data._require_fit(corpus_without)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_processes_cut_each_batch_of_all_together_among_them(corpus, batch_size):
    together = make(corpus, batch_size=2 * batch_size)
    halves = [make(corpus, batch_size=batch_size) for _ in range(2)]
    for rank, half in enumerate(halves):
        half.sampler.share(rank, 2, batch_size)
    whole = [pairs([batch]) for batch in served(together, 3)]
    parts = [[pairs([batch]) for batch in served(half, 3)] for half in halves]
    assert [one + other for one, other in zip(*parts, strict=True)] == [
        batch for batch in whole if len(batch) == 2 * batch_size
    ]
    assert len(halves[0].train_dataloader()) == len(parts[0])


def test_more_processes_than_clips(corpus):
    with pytest.raises(UserError, match="16 clips do not give 4 processes a batch of 5"):
        make(corpus, batch_size=5).sampler.share(0, 4, 5)
