"""Judges on a corpus whose genres differ in rhythm alone: right verdicts, robust, kept on disk."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.data.corpus import Clip, Corpus
from cyclegan_audio.errors import UserError
from cyclegan_audio.metrics import judge as judge_module
from cyclegan_audio.metrics.augmentation import augment, low_pass, noisy
from cyclegan_audio.metrics.folds import track_folds
from cyclegan_audio.metrics.genre_net import (
    N_RELATIONS,
    GenreNet,
    NetSettings,
    band_relations,
    dropped,
    standardise,
)
from cyclegan_audio.metrics.judge import judge_for, linear_judge_for
from cyclegan_audio.metrics.linear import train_linear
from cyclegan_audio.metrics.net_training import Views, Work, mixed, n_batches, train_net

SPLITS = ("train",) * 7 + ("val", "test", "test")
N_FRAMES, CLIPS_A_TRACK = 96, 4
FAST, SLOW = 0.1, 0.25  # seconds from beat to beat


def small(views: int, batches: int) -> NetSettings:
    """Settings that train in seconds."""
    usual = NetSettings(widths=(4, 8, 8, 8), views=views)
    recipes = {
        name: dataclasses.replace(getattr(usual, name), min_batches=batches, max_batches=batches)
        for name in ("statistics", "convolutions")
    }
    return dataclasses.replace(usual, **recipes)


@pytest.fixture(autouse=True)
def small_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "SETTINGS", small(4, 60))


class MadeCorpus(Corpus):
    """Ten tracks a genre, mels made on demand: pulses over all bands at the genre's rate, level at random."""

    def mel_db(self, clip: Clip) -> torch.Tensor:
        rng = np.random.default_rng([clip.index, clip.genre == "fast"])
        time_s = np.arange(N_FRAMES) * self.mel.frame_s
        beat_s = (FAST if clip.genre == "fast" else SLOW) * rng.uniform(0.95, 1.05)
        pulses = 30 * np.exp(-((time_s + rng.uniform(0, 1)) % beat_s) / 0.03)
        mel_db = pulses - 0.2 * np.arange(self.mel.n_mels)[:, None] + rng.normal(0, 3, (128, N_FRAMES))
        return torch.from_numpy(mel_db + rng.uniform(-30, 0)).float()

    @property
    def clip_frames(self) -> int:
        return N_FRAMES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    mel = MelSettings.from_dict(dict(OmegaConf.load(CONF_DIR / "mel" / "paper.yaml")))
    clips = []
    for genre in ("fast", "slow"):
        for track, split in enumerate(SPLITS):
            for number in range(CLIPS_A_TRACK):
                index = track * CLIPS_A_TRACK + number
                name = f"{genre}_{track}"
                clips.append(
                    Clip(
                        f"{name}-{number}", genre, name, 2.0 * number, 2.0, name, name, name, index,
                        None, split, -20.0, -80.0, 0.0,
                    )
                )  # fmt: skip
    settings = {"mel": mel.to_dict(), "clip": {"seconds": 2.0}}
    return MadeCorpus(tmp_path_factory.mktemp("made"), settings, clips)


def mels_of(corpus: Corpus, genre: str, split: str) -> torch.Tensor:
    return torch.stack([corpus.mel_db(clip) for clip in corpus.clips(genre, split)])


@pytest.mark.parametrize("make", [judge_for, linear_judge_for])
def test_judge_tells_rhythms_apart_at_any_level_noise_and_bandwidth(made, make) -> None:
    judge = make(made, ("fast", "slow"))
    assert (judge.accuracy.n, judge.accuracy.groups) == (16, 4)
    assert judge.accuracy.mean >= 0.9
    assert judge.accuracy.low < judge.accuracy.mean <= judge.accuracy.high
    assert judge.accuracy_low_passed.mean >= 0.9
    assert judge.accuracy_noisy.mean >= 0.9
    assert judge.reliability.n == 16
    assert judge.reliability.error < 0.25
    slow, fast = mels_of(made, "slow", "test"), mels_of(made, "fast", "test")
    assert judge.probability(slow).mean() > 0.5 > judge.probability(fast).mean()
    torch.testing.assert_close(judge.probability(slow - 40), judge.probability(slow), atol=1e-3, rtol=0)
    noisy = fast + 3 * torch.randn(fast.shape, generator=torch.Generator().manual_seed(0))
    assert (judge.probability(noisy) < 0.5).float().mean() >= 0.9
    assert judge.embed(slow).shape[0] == len(slow)
    assert float((judge.embed(slow).mean(0) - judge.embed(fast).mean(0)).norm()) > 0.5


def test_judge_is_kept_and_read_again(made, monkeypatch) -> None:
    first = judge_for(made, ("fast", "slow"))
    files = {path.name for path in (made.folder / "judges").iterdir()}
    assert any(name.startswith("network_fast_slow_") for name in files)
    monkeypatch.setattr(judge_module, "train_net", None)  # training again would fail
    again = judge_for(made, ("fast", "slow"))
    mels = mels_of(made, "slow", "test")
    assert torch.equal(again.probability(mels), first.probability(mels))
    for name in ("accuracy", "accuracy_low_passed", "accuracy_noisy", "reliability", "temperature"):
        assert getattr(again, name) == getattr(first, name)
    assert {path.name for path in (made.folder / "judges").iterdir()} == files


def test_damaged_or_other_judges_are_trained_anew(made, monkeypatch) -> None:
    linear_judge_for(made, ("fast", "slow"))
    (path,) = (made.folder / "judges").glob("linear_fast_slow_*")
    path.write_bytes(path.read_bytes()[:100])
    assert linear_judge_for(made, ("fast", "slow")).accuracy.mean >= 0.9
    assert path.stat().st_size > 100
    monkeypatch.setattr(judge_module, "VERSION", judge_module.VERSION + 1)
    linear_judge_for(made, ("fast", "slow"))
    assert len(list((made.folder / "judges").glob("linear_fast_slow_*"))) == 2


def test_corpus_that_cannot_be_written_still_gives_a_judge(made, tmp_path, caplog) -> None:
    (tmp_path / "file").write_text("")
    settings = {"mel": made.mel.to_dict(), "clip": {"seconds": made.clip_s}}
    read_only = MadeCorpus(tmp_path / "file", settings, made._clips)
    assert linear_judge_for(read_only, ("fast", "slow")).accuracy.mean >= 0.9
    assert "cannot be written" in caplog.text


def test_only_training_clips_are_trained_on(made, monkeypatch) -> None:
    seen = []
    train = judge_module.train_linear

    def watch(mels_db, labels, tracks, *rest):
        seen.extend(tracks)
        return train(mels_db, labels, tracks, *rest)

    monkeypatch.setattr(judge_module, "train_linear", watch)
    judge_module.train_judge(made, ("fast", "slow"), "linear")
    assert set(seen) == {f"{genre}_{track}" for genre in ("fast", "slow") for track in range(7)}


def test_bad_input(made, tmp_path) -> None:
    with pytest.raises(UserError, match="no genre 'jazz'"):
        judge_for(made, ("fast", "jazz"))
    settings = {"mel": made.mel.to_dict(), "clip": {"seconds": made.clip_s}}
    held_out = [clip for clip in made._clips if clip.split != "train" or clip.genre == "fast"]
    with pytest.raises(UserError, match="no training clips of slow"):
        judge_for(MadeCorpus(tmp_path, settings, held_out), ("fast", "slow"))


def test_low_pass_leaves_what_is_below() -> None:
    mels_db = torch.rand(2, 4, 5)
    out = low_pass(mels_db, torch.tensor([100.0, 1000, 5000, 9000]), 4000.0)
    assert torch.equal(out[:, :2], mels_db[:, :2])
    least = mels_db.amin((1, 2))
    assert torch.equal(out[:, 2:], least[:, None, None].expand(2, 2, 5))


def test_noise_fills_what_is_quiet_and_leaves_what_is_loud() -> None:
    mels_db = torch.full((2, 40, 50), -90.0)
    mels_db[:, 3] = torch.tensor([0.0, -20.0])[:, None]
    out = noisy(mels_db, 40.0)
    assert torch.equal(out[:, 3], mels_db[:, 3])
    quiet = out[:, 4:].flatten(1)
    torch.testing.assert_close(quiet.mean(1), torch.tensor([-40.0, -60.0]), atol=0.5, rtol=0)
    assert torch.equal(noisy(mels_db, 40.0), out)


def test_relations_tell_bands_that_move_together_from_others() -> None:
    steps = torch.randn(2, 1, 200, generator=torch.Generator().manual_seed(0))
    alone = torch.randn(2, 32, 200, generator=torch.Generator().manual_seed(1))
    together, apart = band_relations(steps.expand(2, 32, 200)), band_relations(alone)
    assert together.shape == (2, N_RELATIONS)
    row, column = torch.triu_indices(32, 32)
    off = (row != column).repeat(2)
    of_steps = torch.arange(N_RELATIONS) >= len(row)
    variance = steps.var(2, correction=0)
    torch.testing.assert_close(together[:, ~of_steps], variance.expand(2, len(row)), atol=1e-4, rtol=1e-4)
    assert float(apart[:, off].abs().mean()) < 0.15
    assert float(apart[:, ~off & of_steps].mean()) == pytest.approx(2, abs=0.1)  # steps of noise


def test_standardised_clips_know_no_level_nor_contrast() -> None:
    mels_db = torch.randn(3, 8, 9)
    torch.testing.assert_close(standardise(5 * mels_db - 40), standardise(mels_db), atol=1e-4, rtol=0)
    assert torch.isfinite(standardise(torch.zeros(1, 4, 4))).all()


def test_augmentation_is_new_each_time_and_bounded() -> None:
    random = torch.Generator().manual_seed(0)
    mels_db = 20 * torch.randn(6, 128, 50) - 40
    band_hz = torch.linspace(50, 20000, 128)
    one, two = (augment(mels_db, band_hz, NetSettings(), random) for _ in range(2))
    assert one.shape == (6, 128, 35)
    assert torch.isfinite(one).all()
    assert not torch.equal(one, two)
    still = dataclasses.replace(
        NetSettings(), tilt_db=0, noise_db=0, quiet_floor=0, loud_floor=0, crop_share=1
    )
    change_db = (augment(mels_db, band_hz, still, random) - mels_db)[:, band_hz < 4000].abs()
    assert float(change_db.median()) < 0.01


def test_settings_are_plain_values_for_the_hash() -> None:
    assert json.loads(json.dumps(dataclasses.asdict(NetSettings())))["embedding"] == NetSettings().embedding


def test_folder_of_judges_lies_in_the_corpus(made) -> None:
    assert Path(made.folder / judge_module.FOLDER).is_dir()


@pytest.mark.parametrize("kind", ["network", "linear"])
def test_clips_left_out_are_judged_by_one_who_does_not_know_their_track(kind) -> None:
    mels_db = torch.randn(12, 128, 40, generator=torch.Generator().manual_seed(0))
    labels, band_hz = torch.tensor([0, 1] * 6), torch.linspace(50, 20000, 128)

    def left_out(tracks: list[str]) -> torch.Tensor:
        if kind == "linear":
            return train_linear(mels_db, labels, tracks, band_hz, 0.02)[1]
        return train_net(mels_db, labels, tracks, band_hz, 0.02, small(1, 40))[1]

    # labels of noise can be learnt by heart alone: half of them are right, as long as no clip knows itself
    given = left_out([f"{place}" for place in range(12)])
    assert torch.isfinite(given).all()
    assert 2 <= int(((given > 0) == labels.bool()).sum()) <= 10
    assert left_out(["a", "b"] * 6).isnan().all()


def test_folds_keep_tracks_whole() -> None:
    labels = np.array([0, 1] * 8)
    tracks = [f"{place // 4} {place % 2}" for place in range(16)]
    folds = track_folds(labels, tracks, 3, 0)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(16))
    for train, test in folds:
        assert not {tracks[row] for row in train} & {tracks[row] for row in test}
    assert len(track_folds(labels, tracks, 9, 0)) == 4
    assert track_folds(labels, ["a"] * 16, 3, 0) == []


def test_both_branches_have_their_say() -> None:
    torch.manual_seed(0)
    net = GenreNet(128, 0.02, NetSettings()).eval()
    mels_db = 20 * torch.randn(5, 128, 60) - 40
    statistics, pictures = net.see(mels_db)
    assert pictures.shape == (5, 128, 30)
    parts = net.statistics(statistics), net.convolutions(pictures)
    torch.testing.assert_close(net(mels_db), parts[0] + parts[1])
    net.share.fill_(0.25)
    torch.testing.assert_close(net(mels_db), 1.5 * parts[0] + 0.5 * parts[1])
    assert min(float(part.detach().std()) for part in parts) > 0
    assert net.embed(mels_db).shape == (5, 2 * NetSettings().embedding)


@pytest.mark.parametrize("sizes", [(80, 47, 0.021), (128, 86, 0.0116), (100, 20, 0.03)])
def test_network_takes_other_mels(sizes) -> None:
    n_mels, n_frames, frame_s = sizes
    net = GenreNet(n_mels, frame_s, NetSettings()).eval()
    assert net(torch.randn(3, n_mels, n_frames)).shape == (3,)


def test_convolutions_hear_what_statistics_of_single_bands_cannot() -> None:
    """Tones that rise from band to band against tones that fall: the same in each band."""
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1] * 24)
    time = (torch.arange(64)[None, :] + torch.randint(64, (48, 1), generator=random)) % 64
    rising = (torch.arange(128)[None, :, None] // 2 - time[:, None, :]).abs() < 3
    mels_db = torch.where(labels[:, None, None] > 0, rising, rising.flip(2)) * 30.0
    mels_db = mels_db + torch.randn(mels_db.shape, generator=random)
    one_track, band_hz = ["track"] * 36, torch.linspace(50, 20000, 128)  # so no folds
    net, _ = train_net(mels_db[:36], labels[:36], one_track, band_hz, 0.02, small(2, 60))
    with torch.inference_mode():
        alone = net.convolutions(net.see(mels_db[36:])[1])
    assert ((alone > 0) == labels[36:].bool()).float().mean() >= 0.9


def test_threads_change_nothing() -> None:
    mels_db = torch.randn(12, 128, 40, generator=torch.Generator().manual_seed(0))
    labels, tracks = torch.tensor([0, 1] * 6), [f"{place}" for place in range(12)]
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(train_net(mels_db, labels, tracks, torch.linspace(50, 20000, 128), 0.02, small(1, 5)))
    torch.set_num_threads(1)
    (one, given), (two, same) = found
    torch.testing.assert_close(given, same, atol=1e-5, rtol=1e-5)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, two.state_dict()[name], atol=1e-5, rtol=1e-5)


def test_progress_reaches_its_end_and_a_stop_is_heard() -> None:
    mels_db = torch.randn(8, 128, 40, generator=torch.Generator().manual_seed(0))
    labels, steps = torch.tensor([0, 1] * 4), []

    def train(on_step) -> None:
        train_net(
            mels_db, labels, list("abcdefgh"), torch.linspace(50, 20000, 128), 0.02, small(1, 4), on_step
        )

    train(lambda done, total: steps.append((done, total)))
    done, totals = zip(*steps, strict=True)
    assert list(done) == sorted(done)
    assert {done[-1]} == set(totals)

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stop)
    work = Work(10, stop)
    work.stopped = True
    with pytest.raises(InterruptedError):
        work.add(1)


def test_number_of_batches_follows_from_that_of_clips() -> None:
    recipe = dataclasses.replace(NetSettings().convolutions, epochs=10, min_batches=30, max_batches=100)
    size = recipe.batch_size
    assert [n_batches(recipe, n) for n in (2, 5 * size, 50 * size)] == [(30, 1), (50, 5), (100, 50)]


def test_pictures_are_cut_and_hide_some_bands() -> None:
    settings = NetSettings(views=2, masked_bands=4)
    mels_db = 20 * torch.randn(6, 128, 100, generator=torch.Generator().manual_seed(0))
    net = GenreNet(128, 0.02, settings)
    views = Views(net, mels_db, torch.linspace(50, 20000, 128), settings, Work(1, lambda done, total: None))
    assert [own.shape for own in views.pictures] == [(6, 128, 50), (6, 128, 35), (6, 128, 35)]
    random = np.random.default_rng(0)
    rows = np.array([0, 3, 3, 5] * 8)
    drawn = views.draw_pictures(rows, random)
    assert drawn.shape == (32, 128, 24)
    hidden = (drawn == 0).all(2).sum(1)
    assert int(hidden.max()) == 3
    assert int(hidden.min()) == 0
    assert views.draw_statistics(rows, random).shape == (32, views.statistics.shape[2])


def test_mixing_and_dropout() -> None:
    random = np.random.default_rng(0)
    seen = torch.arange(64.0).reshape(64, 1, 1).expand(64, 2, 3)
    made, target = mixed(seen, torch.arange(64.0), 0.3, random)
    torch.testing.assert_close(made[:, 0, 0], target)
    assert not torch.equal(target, torch.arange(64.0))
    assert float(target.mean()) == pytest.approx(31.5, abs=5)
    x = torch.ones(200, 50)
    assert dropped(x, 0.3, None) is x
    thinned = dropped(x, 0.3, random)
    torch.testing.assert_close(thinned.unique(), torch.tensor([0, 1 / 0.7]))
    assert float(thinned.mean()) == pytest.approx(1, abs=0.03)
