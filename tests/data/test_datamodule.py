"""Tests of the batches of unpaired mels: pairs, shapes, augmentation, devices, resuming."""

from collections import Counter
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio.audio.resampling import change_speed
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.data import datamodule
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.data.sampler import ClipView, PairIndex, sample_epoch_pairs
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_genres


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


def test_an_item_is_its_clip_with_reflection_padding(corpus):
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


def test_an_epoch_has_every_clip_of_a_once_and_random_clips_of_b(corpus):
    data = make(corpus)
    counts_b: Counter[int] = Counter()
    for epoch in range(30):
        epoch_pairs = pairs(served(data, epoch))
        assert sorted(a for a, _ in epoch_pairs) == list(range(16))
        counts_b.update(b for _, b in epoch_pairs)
    assert set(counts_b) == set(range(16))
    assert max(counts_b.values()) < 3 * min(counts_b.values())  # 30 each on average
    assert len({b for _, b in pairs(served(data, 0))}) < 16  # drawn with replacement


def test_pairs_depend_on_seed_and_epoch_only(corpus):
    augmentation = {"crop_frames": 32, "gain_db": 6.0, "time_shift": True}
    plain = make(corpus, **augmentation)
    workers = make(corpus, **augmentation, num_workers=2, cache_mb=0)
    loader = workers.train_dataloader()
    for epoch in (0, 1):
        workers.set_epoch(epoch)
        for one, other in zip(served(plain, epoch), loader, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one)
    assert pairs(served(plain, 0)) == pairs(served(plain, 0))
    assert pairs(served(plain, 0)) != pairs(served(plain, 1))
    assert pairs(served(plain, 0)) != pairs(served(make(corpus, **augmentation, seed=1), 0))


@pytest.mark.parametrize(
    ("changes", "device"),
    [
        ({"cache_device": True}, "meta"),
        ({"cache_device": False}, "cpu"),
        ({}, "cpu"),  # auto: this device is not CUDA
        ({"cache_device": True, "cache_mb": 0}, "cpu"),
    ],
)
def test_cached_mels_are_on_the_configured_device(corpus, changes, device):
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
def test_batches_cached_on_a_gpu_equal_those_of_the_cpu(corpus):
    device = torch.device("cuda")
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device), global_rank=0, world_size=1)
    augmentation = {
        "frame_multiple": 4,
        "crop_frames": 32,
        "gain_db": 6.0,
        "time_shift": True,
        "batch_size": 2,
    }
    data = UnpairedMelDataModule(corpus.folder, "lofi", "trap", **augmentation)
    data.trainer = trainer
    data.setup("fit")
    for on_gpu, on_cpu in zip(served(data), served(make(corpus, **augmentation)), strict=True):
        assert on_gpu["real_a"].device.type == "cuda"
        for name, value in on_cpu.items():
            torch.testing.assert_close(on_gpu[name].cpu(), value)


def test_global_random_state_has_no_effect(corpus):
    data = make(corpus)
    torch.manual_seed(1)
    first = pairs(served(data))
    torch.manual_seed(2)
    assert pairs(served(data)) == first


def test_skipped_batches_resume_mid_epoch(corpus):
    whole, later = make(corpus, batch_size=2), make(corpus, batch_size=2)
    later.skip_batches(3)
    assert pairs(served(later, 4)) == pairs(served(whole, 4))[6:]
    assert pairs(served(later, 5)) == pairs(served(whole, 5))
    assert len(later.train_dataloader()) == 8


def test_validation_pairs_are_fixed_whole_clips(corpus):
    data = make(corpus, crop_frames=32, val_pairs=8)
    first = list(data.validation_batches())
    data.set_epoch(3)
    assert pairs(first) == pairs(data.validation_batches())
    assert sorted(a for a, _ in pairs(first)) == [0, 1]  # two clips in the split, no repeats
    assert first[0]["real_a"].shape[-1] == corpus.clip_frames + -corpus.clip_frames % 4
    val_clips = {clip.clip_id for clips in data.clips("val") for clip in clips}
    assert not val_clips & {clip.clip_id for clips in data.clips("train") for clip in clips}


def test_training_clips_replace_missing_validation_clips(tmp_path, settings, caplog):
    prepare_corpus(FolderSource(write_genres(tmp_path, tracks=1, seconds=1.1)), tmp_path / "out", settings())
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4)
    data.setup("fit")
    assert "no validation clips" in caplog.text
    assert pairs(data.validation_batches()) == [(0, 0)]


def test_mels_scaled_per_clip_keep_their_range(tmp_path, settings, paper):
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(mel=paper))
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4)
    data.setup("fit")
    batch = served(data)[0]
    clip = data.clips("train")[0][int(batch["index_a"])]
    assert batch["range_db_a"].tolist()[0] == pytest.approx([clip.min_db, clip.max_db])
    assert (float(batch["real_a"].min()), float(batch["real_a"].max())) == (-1, 1)
    mel_db = data.mel.denormalise(batch["real_a"][0, 0], tuple(batch["range_db_a"][0].tolist()))
    assert torch.allclose(mel_db[:, : data.corpus.clip_frames], data.corpus.mel_db(clip), atol=1e-3)


def test_the_configuration_builds_a_data_module(corpus, hifi):
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
        ({"crop_frames": 1000}, "is longer than clips of 86 frames"),
        ({"crop_frames": 2}, "crop_frames must be an integer >= 4, got 2"),
        ({"gain_db": -1.0}, "gain_db must be a number >= 0, got -1.0"),
        ({"cache_device": "gpu"}, "data.cache_device=gpu is unknown; choose true, false or auto"),
        ({"cache_device": True, "num_workers": 1}, "set data.num_workers=0"),
        ({"corpus": "nowhere"}, "nowhere is not a corpus"),
    ],
)
def test_invalid_settings_are_refused(corpus, changes, message):
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
def test_processes_split_each_global_batch(corpus, batch_size):
    together = make(corpus, batch_size=2 * batch_size)
    halves = [make(corpus, batch_size=batch_size) for _ in range(2)]
    for rank, half in enumerate(halves):
        half.sampler.distribute(rank, 2, batch_size)
    whole = [pairs([batch]) for batch in served(together, 3)]
    parts = [[pairs([batch]) for batch in served(half, 3)] for half in halves]
    assert [one + other for one, other in zip(*parts, strict=True)] == [
        batch for batch in whole if len(batch) == 2 * batch_size
    ]
    assert len(halves[0].train_dataloader()) == len(parts[0])


def test_too_many_processes_are_refused(corpus):
    with pytest.raises(UserError, match="16 clips are too few for 4 processes with a batch of 5"):
        make(corpus, batch_size=5).sampler.distribute(0, 4, 5)


def test_crops_are_random_intervals_of_the_clip(corpus):
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


def test_a_view_adds_gain_and_shifts_circularly(corpus):
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


def test_gains_and_shifts_fill_their_ranges_and_change_no_pairs_and_crops():
    plain = sample_epoch_pairs(400, 30, 5, seed=1, epoch=2)
    pairs = sample_epoch_pairs(400, 30, 5, seed=1, epoch=2, n_shifts=50, gain_db=6.0)
    assert [(a[:2], b[:2]) for a, b in pairs] == [(a[:2], b[:2]) for a, b in plain]
    assert {view[2:] for pair in plain for view in pair} == {(0, 0.0, 0)}
    for views in zip(*pairs, strict=True):
        gains = [view.gain_db for view in views]
        assert -6 <= min(gains) < -5.8
        assert 5.8 < max(gains) <= 6
        assert {view.shift for view in views} == set(range(50))
    assert [pair.a.shift for pair in pairs] != [pair.b.shift for pair in pairs]


def test_augmentations_are_sampled_independently():
    both = sample_epoch_pairs(20, 20, 1, seed=0, epoch=0, n_shifts=50, gain_db=6.0)
    rolled = sample_epoch_pairs(20, 20, 1, seed=0, epoch=0, n_shifts=50)
    louder = sample_epoch_pairs(20, 20, 1, seed=0, epoch=0, gain_db=6.0)
    assert [pair.a.shift for pair in rolled] == [pair.a.shift for pair in both]
    assert [pair.b.gain_db for pair in louder] == [pair.b.gain_db for pair in both]


def test_speeds_are_whole_semitones_and_change_nothing_else():
    plain, varied = (
        sample_epoch_pairs(300, 30, 5, 1, 2, n_shifts=9, gain_db=6.0, varispeed=semitones)
        for semitones in (0, 2)
    )
    assert [(a[:4], b[:4]) for a, b in varied] == [(a[:4], b[:4]) for a, b in plain]
    for side in (0, 1):
        counts = Counter(pair[side].semitones for pair in varied)
        assert sorted(counts) == [-2, -1, 0, 1, 2]
        assert min(counts.values()) > 40  # of 60


def test_varied_clips_are_their_audio_at_another_speed(corpus):
    data = make(corpus, crop_frames=32, varispeed=2)
    frames, clip = corpus.clip_frames, data.clips("train")[0][3]
    for semitones in (-2, 1):
        mel_db = corpus.mel.mel_db(change_speed(corpus.audio(clip), semitones)[None])[0]
        assert mel_db.shape[1] == pytest.approx(frames / 2 ** (semitones / 12), abs=1.5)
        expected = corpus.mel.normalise(mel_db)
        last = frames - 32
        for start, first in ((0, 0), (last, mel_db.shape[1] - 32)):
            view = PairIndex(ClipView(3, start=start, semitones=semitones), ClipView(0))
            for _ in range(2):  # the second is from the cache
                item = data.train_data[view]["real_a"][0]
                torch.testing.assert_close(item, expected[:, first : first + 32])


def test_varied_clips_have_the_gain_of_the_normalisation(corpus):
    data = UnpairedMelDataModule(corpus.folder, "lofi", "trap", frame_multiple=4, crop_frames=32, varispeed=1)
    data.corpus = corpus.normalised(CorpusNormalisation(loudness_lufs=-30.0))
    data.setup("fit")
    clip = data.clips("train")[0][3]
    gain = 10 ** ((-30 - clip.loudness_lufs) / 20)
    mel_db = corpus.mel.mel_db(change_speed(gain * corpus.audio(clip), 1)[None])[0]
    item = data.train_data[PairIndex(ClipView(3, semitones=1), ClipView(0))]["real_a"][0]
    torch.testing.assert_close(item, corpus.mel.normalise(mel_db[:, :32]))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_varied_epochs_are_whole_and_the_same_again(corpus, num_workers):
    settings = {"crop_frames": 32, "varispeed": "auto", "num_workers": num_workers}
    first, second = (served(make(corpus, **settings), 1) for _ in range(2))
    assert [batch["real_a"].shape for batch in first] == [(1, 1, 128, 32)] * 16
    assert all(torch.equal(one["real_b"], other["real_b"]) for one, other in zip(first, second, strict=True))
    plain = served(make(corpus, crop_frames=32), 1)
    assert pairs(first) == pairs(plain)
    same = [torch.equal(one["real_a"], other["real_a"]) for one, other in zip(first, plain, strict=True)]
    assert 0 < sum(same) < 16


def test_auto_varies_where_there_is_little_music(corpus, monkeypatch):
    short = {"crop_frames": 32, "varispeed": "auto"}
    data = make(corpus, **short)
    assert data.semitones == 2
    assert data.describe_varispeed() == (
        "little music (16 of lofi and 16 of trap training clips): clips are also played up to 2 semitones "
        "slower and faster (data.varispeed)"
    )
    whole = make(corpus, varispeed="auto")
    assert whole.semitones == 0
    assert whole.describe_varispeed().endswith("set data.crop_frames to that or less")
    monkeypatch.setattr(datamodule, "LITTLE_MUSIC", 16)
    data = make(corpus, **short)
    assert (data.semitones, data.describe_varispeed()) == (0, "")
    assert make(corpus, crop_frames=32).semitones == 0


def test_speeds_that_are_not_possible_are_refused(corpus, monkeypatch):
    frames = int(0.998 * corpus.clip_frames / 2 ** (3 / 12)) - 1
    with pytest.raises(UserError, match=f"data.varispeed=3 is not possible: .* {frames} frames"):
        make(corpus, crop_frames=frames + 1, varispeed=3)
    assert make(corpus, crop_frames=frames // 4 * 4, varispeed=3).semitones == 3
    with pytest.raises(UserError, match=r"data\.varispeed"):
        make(corpus, varispeed=0.5)
    with pytest.raises(UserError, match=r"data\.varispeed=Auto is unknown; choose auto"):
        make(corpus, varispeed="Auto")
    monkeypatch.setattr(datamodule, "torchaudio_functional", Mock(side_effect=UserError("no torchaudio")))
    with pytest.raises(UserError, match="no torchaudio"):
        make(corpus, crop_frames=32, varispeed=1)
    assert make(corpus, crop_frames=32, varispeed="auto").semitones == 0


@pytest.mark.parametrize("audio", ["heldout", "none"])
def test_a_corpus_without_audio_is_not_varied(tmp_path, settings, audio):
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(audio=audio))
    corpus = Corpus.open(tmp_path / "out")
    with pytest.raises(UserError, match="no audio of its training clips; run prepare again"):
        make(corpus, crop_frames=16, varispeed=1)
    data = make(corpus, crop_frames=16, varispeed="auto")
    assert data.semitones == 0
    assert "no audio of its training clips" in data.describe_varispeed()
    assert served(data)


def test_validation_is_not_augmented(corpus):
    plain, augmented = (
        make(corpus, crop_frames=32),
        make(corpus, crop_frames=32, gain_db=6, time_shift=True, varispeed=2),
    )
    for one, other in zip(plain.validation_batches(), augmented.validation_batches(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(served(plain)[0]["real_a"], served(augmented)[0]["real_a"])


def test_gain_is_refused_with_mels_scaled_per_clip(tmp_path, settings, paper):
    prepare_corpus(FolderSource(write_genres(tmp_path)), tmp_path / "out", settings(mel=paper))
    data = UnpairedMelDataModule(tmp_path / "out", "lofi", "trap", frame_multiple=4, gain_db=3.0)
    with pytest.raises(UserError, match=r"data.gain_db=3.0 has no effect with mel paper"):
        data.setup("fit")
