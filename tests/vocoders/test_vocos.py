"""Training and using the Vocos vocoder."""

import math
import subprocess
import sys

import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio import train_vocoder
from cyclegan_audio.config import compose
from cyclegan_audio.data.audio_datamodule import AudioSegmentDataModule, sample_segments
from cyclegan_audio.inference.checkpoints import read_checkpoint
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import VocoderInput, make_vocoder
from cyclegan_audio.vocoders.vocos import VocosNetwork
from cyclegan_audio.vocoders.vocos_training import mel_loss, stft_loss
from tests.vocoders.sounds import PRESETS, chords, distance_db, preset

SHRUNK = (
    "vocoder_model=vocos_small", "model.network.dim=16", "model.network.intermediate_dim=16",
    "model.network.n_blocks=1", "model.network.magnitude_iterations=3", "model.periods=[7]",
    "model.fft_sizes=[256]", "model.pretrain_epochs=1", "data.segment_frames=8", "data.batch_size=4",
    "data.val_clips=1", "n_epochs=2", "n_epochs_decay=0", "logger=none", "precision=32-true", "threads=1",
)  # fmt: skip


def run(monkeypatch, *overrides: str) -> None:
    monkeypatch.setattr(sys, "argv", ["train_vocoder", *overrides])
    train_vocoder.main()


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """Train two epochs, the second one with discriminators; return the run folder."""
    folder = tmp_path_factory.mktemp("vocoder") / "run [a=b]"
    with pytest.MonkeyPatch.context() as patch:
        run(patch, *SHRUNK, f"corpus={corpus}", f"run_dir={folder}")
    return folder


def test_mel_loss_is_in_natural_logarithms():
    real_db = torch.randn(2, 4, 5)
    assert mel_loss(real_db + 20 / math.log(10), real_db).item() == pytest.approx(1.0, abs=1e-5)
    assert mel_loss(real_db, real_db).item() == 0


def test_stft_loss_of_a_doubled_waveform_by_hand():
    real = torch.randn(2, 4096)
    assert stft_loss(real, real, (256, 512)).item() == 0
    assert stft_loss(2 * real, real, (256, 512)).item() == pytest.approx(1 + math.log(2), abs=1e-4)
    silence = torch.zeros(1, 4096, requires_grad=True)
    stft_loss(silence, real[:1], (256,)).backward()
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("preset_name", PRESETS)
def test_untrained_network_has_the_mel(preset_name):
    torch.manual_seed(0)
    mel = preset(preset_name)
    network = VocosNetwork(mel, dim=16, intermediate_dim=16, n_blocks=1, magnitude_iterations=10).eval()
    source = chords(mel, 1.0)
    target_db = mel.mel_db(source)
    with torch.no_grad():
        spectrum = network.spectrum(target_db)
        got = network(target_db, source.shape[1])
    assert spectrum.shape == (1, mel.n_fft // 2 + 1, target_db.shape[2])
    assert got.shape == source.shape
    assert (mel.magnitude_to_mel_db(spectrum.abs()) - target_db).abs().mean() < 1.5
    assert distance_db(mel, got, target_db) < 6


def make_gan(corpus, *overrides: str):
    cfg = compose("train_vocoder", [*SHRUNK, *overrides])
    mel = AudioSegmentDataModule(corpus, segment_frames=8, batch_size=1, max_cut_db=0, val_clips=1).mel
    torch.manual_seed(0)
    return instantiate(cfg.model, _convert_="all", mel=mel)


class ConstantDiscriminator(torch.nn.Module):
    """Two sub-discriminators that score real 0.5 and fake -0.5; their feature maps differ by 0.25."""

    def forward(self, y, y_hat):
        scores = lambda value: [torch.full((3,), value), torch.full((3,), value)]  # noqa: E731
        maps = lambda value: [[torch.full((4,), value)], [torch.full((4,), value)]]  # noqa: E731
        return scores(0.5), scores(-0.5), maps(0.25), maps(0.5)


def test_adversarial_losses_by_hand(corpus):
    gan = make_gan(corpus)
    gan.discriminators = torch.nn.ModuleDict(
        {"period": ConstantDiscriminator(), "resolution": ConstantDiscriminator()}
    )
    real = torch.randn(2, 4096)
    real_db = gan.mel.mel_db(real)
    losses = gan.generator_losses(real, real, real_db, adversarial=True)
    assert losses["mel"].item() == pytest.approx(0, abs=1e-6)
    assert losses["adversarial_period"].item() == pytest.approx(1.5)  # hinge: 1 - (-0.5)
    assert losses["feature_matching_resolution"].item() == pytest.approx(0.25)
    disc_losses = gan.discriminator_losses(real, real)
    assert disc_losses["disc_period"].item() == pytest.approx(1.0)  # (1 - 0.5) + (1 - 0.5)
    gan.loss_weights = {"adversarial": 2.0, "feature_matching": 4.0, "mel": 45.0, "stft": 1.0}
    gan.discriminator_weights["resolution"] = 0.1
    assert gan.total(losses).item() == pytest.approx((2 * 1.5 + 4 * 0.25) * 1.1, abs=1e-4)
    assert gan.total(disc_losses).item() == pytest.approx(1.1)
    assert set(gan.generator_losses(real, real, real_db, adversarial=False)) == {"mel", "stft"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.loss_weights.mel=-1", r"\.mel must be a number >= 0"),
        ("+model.loss_weights.kl=1", " must have exactly"),
    ],
)
def test_loss_weights_are_checked(corpus, override, message):
    with pytest.raises(Exception, match=f"loss_weights{message}"):
        make_gan(corpus, override)


def test_segments_depend_on_seed_and_epoch(corpus):
    segments = sample_segments(5, 100, 12.0, seed=1, epoch=2)
    assert segments == sample_segments(5, 100, 12.0, seed=1, epoch=2)
    assert segments != sample_segments(5, 100, 12.0, seed=1, epoch=3)
    assert sorted(segment.clip for segment in segments) == [0, 1, 2, 3, 4]
    assert all(0 <= segment.start < 100 and -12 <= segment.gain_db <= 0 for segment in segments)
    data = AudioSegmentDataModule(corpus, segment_frames=8, batch_size=2, max_cut_db=0, val_clips=2)
    data.setup()
    batches = list(data.train_dataloader())
    assert batches[0].shape == (2, 8 * 512)
    data.skip_batches(1)
    assert torch.equal(next(iter(data.train_dataloader())), batches[1])
    first = sample_segments(len(data.clips("train")), 44100 - 4096 + 1, 0.0, 0, 0)[0]
    clip = data.corpus.audio(data.clips("train")[first.clip])
    torch.testing.assert_close(batches[0][0], clip[first.start : first.start + 4096])


def test_segments_longer_than_the_clips_are_refused(corpus):
    data = AudioSegmentDataModule(corpus, segment_frames=999, batch_size=2, max_cut_db=0, val_clips=2)
    with pytest.raises(UserError, match=r"segment_frames=999 is longer than a clip"):
        data.setup()


@pytest.mark.parametrize("setting", ["model.fft_sizes=[8192]", "model.periods=[9000]"])
def test_segments_that_are_too_short_for_the_discriminators_are_refused(
    corpus, setting, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run(monkeypatch, *SHRUNK, setting, f"corpus={corpus}", "run_dir=out")
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert f"{setting.partition('=')[0]}" in errors[0]
    assert "choose a larger data.segment_frames=" in errors[0]
    assert not list(tmp_path.iterdir())


def test_resumed_run_equals_an_uninterrupted_run(trained, corpus, tmp_path, monkeypatch):
    run(monkeypatch, *SHRUNK, f"corpus={corpus}", f"run_dir={tmp_path / 'run'}", "n_epochs=1")
    run(monkeypatch, f"resume={tmp_path / 'run'}", "n_epochs=2")
    uninterrupted, resumed = (
        read_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (trained, tmp_path / "run")
    )
    assert uninterrupted["cyclegan_audio"]["batches"] == resumed["cyclegan_audio"]["batches"] > 2
    for name, value in uninterrupted["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name


def test_losses_are_logged(trained):
    rows = (trained / "losses.csv").read_text().splitlines()
    names, first, last = (row.split(",") for row in (rows[0], rows[1], rows[-1]))
    pretrained, adversarial = (dict(zip(names, row, strict=True)) for row in (first, last))
    assert pretrained["disc_period"] == ""  # the discriminators take part from the second epoch on
    assert float(adversarial["disc_period"]) > 0
    assert float(adversarial["mel"]) > 0


def test_trained_vocoder_reaches_the_mel(trained):
    mel = preset("hifi")
    source = chords(mel, 1.0)
    target_db = mel.mel_db(source)
    vocoder = make_vocoder(f"vocos={trained}")
    vocoder.check(mel)
    inputs = VocoderInput(target_db, mel, source.shape[1])
    got = vocoder(inputs)
    assert got.shape == source.shape
    assert distance_db(mel, got, target_db) < 3
    rough = make_vocoder(f"vocos={trained}", rounds=0)(inputs)
    assert distance_db(mel, got, target_db) < distance_db(mel, rough, target_db)


def test_vocoder_for_another_mel_or_model_is_refused(trained, tmp_path):
    with pytest.raises(UserError, match=r"hop_length 512 against 1024"):
        make_vocoder(f"vocos={trained}").check(preset("paper"))
    with pytest.raises(UserError, match="vocos=RUN"):
        make_vocoder("vocos").check(preset("hifi"))
    other = tmp_path / "other.ckpt"
    content = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    arguments = content["cyclegan_audio"]["config"]["model"]["network"]
    for name, value in (
        ("dim", 10**6),
        ("n_blocks", 10**6),
        ("intermediate_dim", -1),
        ("dim", "x"),
        ("y", 1),
    ):
        before = dict(arguments)
        arguments[name] = value
        torch.save(content, other)
        arguments.clear()
        arguments.update(before)
        with pytest.raises(UserError, match=rf"other\.ckpt: config\.model\.network.*{name}"):
            make_vocoder(f"vocos={other}").check(preset("hifi"))
    content["state_dict"] = {}
    torch.save(content, other)
    with pytest.raises(UserError, match="not a vocoder's checkpoint"):
        make_vocoder(f"vocos={other}").check(preset("hifi"))


@pytest.mark.slow
def test_two_processes_train_in_one_folder(corpus, tmp_path):
    command = [
        sys.executable, "-m", "cyclegan_audio.train_vocoder", *SHRUNK, f"corpus={corpus}", "trainer=ddp",
        "trainer.accelerator=cpu", "trainer.devices=2", "run_dir=runs/${now:%f}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("trained ") == 1
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
