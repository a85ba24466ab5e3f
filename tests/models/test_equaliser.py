"""The equaliser: numbers against the baseline of reports, its files, and the settings that it refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import build, compose
from cyclegan_audio.inference.checkpoints import load_model, save_pretrained
from cyclegan_audio.inference.clip_translation import run_generator, translate_mel_db
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.export import export_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.baselines import BandMoments, match_moments
from cyclegan_audio.models.equaliser import Equaliser
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics
from cyclegan_audio.utils.errors import UserError


@pytest.fixture
def mel() -> MelSpectrogram:
    return instantiate(compose("prepare").mel)


@pytest.fixture
def fitted(mel) -> Callable[[], tuple[TranslationModel, dict[str, torch.Tensor]]]:
    """Return a function that fits an equaliser to random clips; it returns the clips in dB, too."""

    def fit() -> tuple[TranslationModel, dict[str, torch.Tensor]]:
        draws = torch.Generator().manual_seed(0)
        slope = torch.linspace(10, -30, 128)[:, None]
        clips_db = {
            "a": torch.randn(6, 128, 40, generator=draws) * 9 - 40,
            "b": torch.randn(6, 128, 40, generator=draws) * (slope.abs() / 8 + 3) - 50 + slope,
        }
        cfg = compose("train", ["model=equaliser"])
        module = instantiate(cfg.model, _convert_="all")
        module.set_moments({domain: band_moments(mel.normalise(x)) for domain, x in clips_db.items()})
        config = {"model": {"generator": dict(cfg.model.generator)}}
        generators = {"ab": module.gen_ab.eval(), "ba": module.gen_ba.eval()}
        return TranslationModel(("lofi", "rnb"), mel, generators, 40, config), clips_db

    return fit


def band_moments(mels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute mean and spread (M,) of (N, M, F)."""
    flat = mels.transpose(0, 1).flatten(1)
    return flat.mean(1), flat.std(1, correction=0)


def test_it_equals_the_baseline_of_reports(fitted, mel):
    model, clips_db = fitted()
    moments = {domain: BandMoments.of(x) for domain, x in clips_db.items()}
    for direction, generator in model.generators.items():
        source, target = direction
        clip_db = clips_db[source][0]
        expected = match_moments(clip_db[None], moments[source], moments[target])[0]
        expected = expected.clamp(-100, 30)  # the range of the mel
        actual = translate_mel_db(generator, clip_db, mel, mel.range_db(clip_db))
        torch.testing.assert_close(actual, expected, atol=0.1, rtol=0)  # the baseline divides by N - 1


def test_by_hand():
    module = build("model", compose("train", ["model=equaliser", "model.generator.n_mels=2"]).model)
    a, b = torch.tensor([0.0, 0.5]), torch.tensor([0.2, -0.5])
    module.set_moments({"a": (a, torch.tensor([0.1, 0.2])), "b": (b, torch.tensor([0.3, 0.1]))})
    mel = torch.tensor([[0.1, -0.2], [0.5, 0.7]])[None, None]
    expected = torch.tensor([[0.5, -0.4], [-0.5, -0.4]])[None, None]
    torch.testing.assert_close(module.inference_generator("ab")(mel), expected)
    torch.testing.assert_close(module.inference_generator("ba")(expected), mel)
    out = module.translate_batch({"real_a": mel, "real_b": expected})
    torch.testing.assert_close(out["rec_b"], expected)


def test_sound_in_bands_that_are_silent_in_its_genre_stays_finite():
    module = build("model", compose("train", ["model=equaliser", "model.generator.n_mels=1"]).model)
    silent, loud = (torch.tensor([-1.0]), torch.tensor([0.0])), (torch.tensor([0.0]), torch.tensor([0.5]))
    module.set_moments({"a": silent, "b": loud})
    mel = torch.tensor([-1.0, -0.98, 0.5]).view(1, 1, 1, 3)
    expected = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)  # the smallest spread is 0.02
    torch.testing.assert_close(module.inference_generator("ab")(mel), expected, atol=1e-5, rtol=0)


def test_statistics_of_whole_pieces_shifts_and_precision_change_nothing(fitted, mel):
    model, clips_db = fitted()
    mels = mel.normalise(clips_db["a"])[:, None]
    generator = model.generators["ab"]
    expected = run_generator(generator, mels)
    torch.testing.assert_close(
        with_statistics(generator, collect_statistics(generator, [mels]))(mels), expected
    )
    assert with_cycle_spinning(model, 4) is model
    with pytest.raises(UserError, match="shifts must be"):
        with_cycle_spinning(model, 0)
    torch.testing.assert_close(run_generator(generator, mels, bf16=True), expected)
    assert model.device == torch.device("cpu")


def test_it_is_saved_in_16_bits(fitted, mel, tmp_path: Path):
    model, clips_db = fitted()
    save_pretrained(model, tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    x = mel.normalise(clips_db["b"])[:, None]
    torch.testing.assert_close(loaded.generators["ba"](x), model.generators["ba"](x), atol=5e-3, rtol=0)
    assert sum(file.stat().st_size for file in (tmp_path / "saved").iterdir()) < 10_000


@pytest.mark.parametrize(("name", "value"), [("source.spread", 0.0), ("source.mean", 3e38)])
def test_hostile_moments_of_a_file_are_refused(fitted, tmp_path: Path, name: str, value: float):
    model, _ = fitted()
    model.generators["ba"].get_buffer(name)[5] = value
    save_pretrained(model, tmp_path / "saved")
    with pytest.raises(UserError, match=r"saved.*the mean of a band is outside of -1 to 1, or its spread"):
        load_model(tmp_path / "saved")


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_it_is_exported(fitted, mel, tmp_path: Path, suffix: str):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model, clips_db = fitted()
    path = tmp_path / f"equaliser{suffix}"
    assert export_model(model, path) < 1e-5
    if suffix == ".onnx":
        x = mel.normalise(clips_db["a"][:2, :, :21])[:, None]
        loaded = load_model(path)
        torch.testing.assert_close(loaded.generators["ab"](x), model.generators["ab"](x), atol=1e-5, rtol=0)
        statistics = collect_statistics(loaded.generators["ab"], [x])
        same = with_statistics(loaded.generators["ab"], statistics)(x)
        torch.testing.assert_close(same, model.generators["ab"](x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("discriminator=pixel", "has no model.discriminator; leave it out"),
        ("generator=unet", "has its own generator; leave out generator="),
        ("adversarial=hinge", "has no model.adversarial; leave it out"),
    ],
)
def test_settings_of_training_are_refused(override: str, message: str):
    with pytest.raises(UserError, match=message):
        build("model", compose("train", ["model=equaliser", override]).model)


def test_the_number_of_bands_must_be_that_of_the_corpus():
    module = build("model", compose("train", ["model=equaliser"]).model)
    assert isinstance(module, Equaliser)
    with pytest.raises(UserError, match=r"give model\.generator\.n_mels=80"):
        module.check_windows(80, 344, None)
