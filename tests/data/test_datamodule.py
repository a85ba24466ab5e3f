from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio.config import compose
from cyclegan_audio.corpus.build.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_genres
from tests.data.serving import make, pairs, served


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
    varied = {"crop_frames": 32, "gain_db": 6.0, "time_shift": True}
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
        ({"cache_device": True}, "meta"),
        ({"cache_device": False}, "cpu"),
        ({}, "cpu"),  # auto: this device is not CUDA
        ({"cache_device": True, "cache_mb": 0}, "cpu"),
    ],
)
def test_kept_mels_lie_where_they_are_wanted(corpus, changes, device):
    data = UnpairedMelDataModule(
        corpus.folder, "lofi", "trap", frame_multiple=4, crop_frames=32, time_shift=True, **changes
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
    varied = {"frame_multiple": 4, "crop_frames": 32, "gain_db": 6.0, "time_shift": True, "batch_size": 2}
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
    other_case = instantiate(compose("train", [*overrides, "genre_pair.b=TRAP"]).data, frame_multiple=4)
    assert other_case.genres == ("lofi", "trap")
    assert other_case.clips("train") == data.clips("train")
    assert data.mel == hifi
    assert data.batch_size == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genre_b": "rnb"}, "no genre 'rnb'"),
        ({"genre_b": "lofi"}, "both genres are 'lofi'"),
        ({"crop_frames": 1000}, "does not fit clips of 86 frames"),
        ({"crop_frames": 2}, "crop_frames must be an integer >= 4, got 2"),
        ({"gain_db": -1.0}, "gain_db must be a number >= 0, got -1.0"),
        ({"cache_device": "gpu"}, "data.cache_device=gpu is not known; choose true, false or auto"),
        ({"cache_device": True, "num_workers": 1}, "choose data.num_workers=0"),
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
        data._check_corpus(corpus_without)


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
