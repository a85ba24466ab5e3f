"""Models with whitening: exports, 16-bit files, cycle spinning."""

from dataclasses import replace

import pytest
import torch

from cyclegan_audio.inference.checkpoints import load_model, save_pretrained
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.export import export_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.networks.generators import WhitenedResnetGenerator
from cyclegan_audio.models.networks.norm import collect_statistics, with_statistics
from cyclegan_audio.models.networks.patch_residual import PatchResidualGenerator
from cyclegan_audio.utils.errors import UserError
from tests.vocoders.sounds import preset

ARGUMENTS = {"n_filters": 4, "n_blocks": 1, "skip": True}


@pytest.fixture(params=[PatchResidualGenerator, WhitenedResnetGenerator], ids=["patches", "resnet"])
def model(request) -> TranslationModel:
    """A model with moments like those of music: quiet and steady high bands, random weights."""
    torch.manual_seed(0)
    mean, spread = torch.linspace(0.2, -0.9, 128), torch.linspace(0.25, 0.02, 128)
    moments = {"a": (mean, spread), "b": (mean * 0.8 - 0.1, spread.flip(0))}
    networks = {direction: request.param(**ARGUMENTS).eval() for direction in DIRECTIONS}
    for direction, network in networks.items():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        network.set_moments(*(moments[domain] for domain in direction))
    target = f"{request.param.__module__}.{request.param.__name__}"
    config = {"model": {"generator": {"_target_": target, "_partial_": True, **ARGUMENTS}}}
    return TranslationModel(("lofi", "trap"), preset("hifi"), networks, 88, config=config, batches=7)


def music_like(n_frames: int) -> torch.Tensor:
    mean, spread = torch.linspace(0.2, -0.9, 128)[:, None], torch.linspace(0.25, 0.02, 128)[:, None]
    return (mean + spread * torch.randn(2, 1, 128, n_frames)).clamp(-1, 1)


@torch.no_grad()
def test_exports_give_the_same_mels(model, tmp_path):
    assert export_model(model, tmp_path / "pair.pt2", to="trap") < 1e-3
    assert export_model(model, tmp_path / "pair.onnx", to="trap") < 1e-3
    exported, mel = load_model(tmp_path / "pair.onnx"), music_like(44)
    expected = model.generator("trap")(mel)
    assert float((expected - mel).abs().mean()) > 0.05
    torch.testing.assert_close(exported.generator("trap")(mel), expected, rtol=0, atol=1e-3)


@torch.no_grad()
def test_a_small_file_keeps_the_moments_and_rounds_the_weights(model, tmp_path):
    save_pretrained(model, tmp_path / "pair")
    loaded, mel = load_model(tmp_path / "pair"), music_like(64)
    for direction, network in model.generators.items():
        stored = loaded.generators[direction]
        for name, value in network.state_dict().items():
            is_moment = name.startswith(("source.", "target."))
            expected = value if is_moment else value.half().float()
            assert torch.equal(stored.state_dict()[name], expected), name
        change_db = (stored(mel) - network(mel)).abs() * 65
        assert float(change_db.mean()) < 0.05


@torch.no_grad()
def test_shifts_are_averaged_with_the_statistics_of_a_piece(model):
    generator, mel = model.generators["ab"], music_like(64)
    spun = with_cycle_spinning(model, 4).generators["ab"]
    shifted = torch.nn.functional.pad(mel, (1, 3, 0, 0), mode="reflect")
    single = with_cycle_spinning(model, 2).generators["ab"](mel)
    torch.testing.assert_close(single, (generator(mel) + generator(shifted)[..., 1:65]) / 2)
    statistics = collect_statistics(spun, [mel[:1]])
    assert with_statistics(spun, statistics)(mel).shape == mel.shape


def test_a_pretrained_folder_for_another_mel_is_refused(model, tmp_path):
    mel = replace(model.mel, n_mels=64)
    save_pretrained(replace(model, mel=mel), tmp_path / "pair")
    with pytest.raises(UserError, match=r"takes no mels of mel\.n_mels 64"):
        load_model(tmp_path / "pair")
