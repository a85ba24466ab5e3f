"""Finding and reading checkpoints and pretrained models, and refusing damaged ones."""

import json
import re
import subprocess
import sys

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio.cli.options import PRETRAINED_HELP
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.leakage import merge_intervals
from cyclegan_audio.inference.checkpoints import (
    PRETRAINED,
    list_pretrained,
    load_model,
    resolve_run,
    save_pretrained,
)
from cyclegan_audio.inference.start_pair import START_PAIR
from cyclegan_audio.inference.translation_model import make_metadata
from cyclegan_audio.models.networks.generators import ResnetGenerator, UNetGenerator
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.training.resume import find_resume_checkpoint
from cyclegan_audio.utils.errors import UserError


@pytest.fixture
def checkpoint(tiny_model, tmp_path):
    """A checkpoint file of an untrained small model in a run folder, and its model."""
    model = tiny_model()
    cfg = compose(
        "train", ["model=cyclegan_resnet_small", "model.generator.n_filters=4", "model.generator.n_blocks=1"]
    )
    mel = instantiate(compose("train", ["mel=hifi"]).mel)
    model.metadata = make_metadata(
        ("lofi", "rnb"),
        mel,
        344,
        {"model": OmegaConf.to_container(cfg.model, resolve=True)},
        training_intervals={},
    )
    content = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(content)
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(content, path)
    return path, model


def test_model_loads_from_a_run_folder_and_from_a_file(checkpoint):
    path, model = checkpoint
    mel = torch.rand(1, 1, 128, 16) * 2 - 1
    for run in (path, path.parent.parent, str(path)):
        loaded = load_model(run)
        assert (loaded.genres, loaded.window_frames, loaded.frame_multiple) == (("lofi", "rnb"), 344, 4)
        with torch.no_grad():
            assert torch.equal(loaded.generator("rnb")(mel), model.gen_ab(mel))
            assert torch.equal(loaded.generator("lofi")(mel), model.gen_ba(mel))


def test_a_run_resolves_to_its_best_else_its_last_checkpoint(checkpoint):
    last, _ = checkpoint
    run = last.parent.parent
    assert resolve_run(run) == last
    best = last.with_name("best.ckpt")
    best.write_bytes(last.read_bytes())
    assert resolve_run(run) == best
    assert resolve_run(run, checkpoint=last) == last
    assert find_resume_checkpoint(str(run)) == last


def test_averaged_weights_are_loaded_if_there_are_any(checkpoint):
    path, model = checkpoint
    content = torch.load(path, weights_only=True)
    averaged = {f"ema.networks.gen_ab.module.{k}": 2 * v for k, v in model.gen_ab.state_dict().items()}
    content["state_dict"] |= averaged
    torch.save(content, path)
    loaded = load_model(path)
    assert torch.equal(loaded.generators["ab"].head[1].weight, 2 * model.gen_ab.head[1].weight)
    assert torch.equal(loaded.generators["ba"].head[1].weight, model.gen_ba.head[1].weight)


def test_pretrained_model_is_small_and_equal_to_16_bits(checkpoint, tmp_path):
    path, model = checkpoint
    save_pretrained(load_model(path), tmp_path / "small")
    loaded = load_model(tmp_path / "small")
    n_bytes = (tmp_path / "small" / "gen_ab.safetensors").stat().st_size
    assert n_bytes < 2 * sum(p.numel() for p in model.gen_ab.parameters()) + 8000
    mel = torch.rand(1, 1, 128, 16) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(loaded.generators["ab"](mel), model.gen_ab(mel), atol=5e-3, rtol=0)
    assert loaded.mel.hash == load_model(path).mel.hash


def test_metadata_of_a_pretrained_model_has_a_line_for_each_field(checkpoint, tmp_path):
    """Training times by the hundred would take thousands of lines with a number in each."""
    model = load_model(checkpoint[0])
    model.training_intervals = {"0" * 64: [[8.0 * n, 8.0 * n + 4] for n in range(300)]}
    save_pretrained(model, tmp_path / "small")
    text = (tmp_path / "small" / "pair.json").read_text()
    assert len(text.splitlines()) == len(json.loads(text)) + 2
    assert load_model(tmp_path / "small").training_intervals == model.training_intervals


def test_the_card_of_a_pair_names_its_start_and_counts_its_own_music(checkpoint, tmp_path):
    model = load_model(checkpoint[0])
    model.config["init_from"] = START_PAIR
    model.training_intervals = load_model(START_PAIR).training_intervals | {"x": [[0.0, 120.0]]}
    for pair in ("one", "two"):  # also when a pair is shared again
        save_pretrained(model, tmp_path / pair)
        page = (tmp_path / pair / "README.md").read_text()
        assert "(1 recordings, 2 min of them in training clips)" in page
        assert "batches; it began with demo\\_trap |" in page
        model = load_model(tmp_path / pair)


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("hf:me/pair", "hf:me/pair"),
        ("lofi_trap", "lofi_trap"),
        ("runs/secret", "another model"),
        (["x"], "another model"),
        (None, None),
    ],
)
def test_a_pair_names_no_paths_as_its_start(checkpoint, tmp_path, run, name):
    model = load_model(checkpoint[0])
    model.config["init_from"] = run
    save_pretrained(model, tmp_path / "pair")
    assert load_model(tmp_path / "pair").config.get("init_from") == name


def test_training_times_of_pretrained_models_are_merged():
    for name in list_pretrained():
        intervals = load_model(name).training_intervals
        assert merge_intervals(intervals, {}) == intervals, name


NETWORKS = "cyclegan_audio.models.networks"


@pytest.mark.parametrize(
    ("generator", "settings"),
    [
        (ImageGenerator, {"_target_": f"{NETWORKS}.images.ImageGenerator", "size": 64}),
        (UNetGenerator, {"_target_": f"{NETWORKS}.generators.UNetGenerator", "n_levels": 3}),
        (ResnetGenerator, {"_target_": f"{NETWORKS}.generators.ResnetGenerator", "upsampling": "nearest"}),
    ],
)
def test_every_kind_of_generator_loads_from_a_checkpoint(checkpoint, generator, settings):
    path, _ = checkpoint
    arguments = {key: value for key, value in settings.items() if key != "_target_"} | {"n_filters": 4}
    networks = {direction: generator(**arguments) for direction in ("ab", "ba")}
    content = torch.load(path, weights_only=True)
    content["cyclegan_audio"]["config"]["model"]["generator"] = {
        **settings,
        "n_filters": 4,
        "_partial_": True,
    }
    content["state_dict"] = {
        f"gen_{direction}.{key}": value
        for direction, network in networks.items()
        for key, value in network.state_dict().items()
    }
    torch.save(content, path)
    loaded = load_model(path)
    assert type(loaded.generators["ab"]) is generator
    for direction, network in networks.items():
        torch.testing.assert_close(loaded.generators[direction].state_dict(), network.state_dict())


def test_unknown_genre_is_refused(checkpoint):
    loaded = load_model(checkpoint[0])
    with pytest.raises(UserError, match=r"no genre 'jazz' in this model\. There are: lofi, rnb"):
        loaded.generator("jazz")
    assert loaded.generator("RNB") is loaded.generators["ab"]
    assert loaded.direction("Lofi") == "ba"


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "foreign", "bytes", "stateless"])
def test_damaged_checkpoint(checkpoint, damage):
    path, _ = checkpoint
    whole = path.read_bytes()
    if damage == "foreign":
        torch.save({"weights": torch.ones(2)}, path)
    elif damage == "stateless":
        content = torch.load(path, weights_only=True)
        torch.save({"cyclegan_audio": content["cyclegan_audio"]}, path)
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes(byte ^ 255 for byte in whole[middle : middle + 24])
        path.write_bytes(
            {
                "cut": whole[:middle],
                "empty": b"",
                "text": b"not a checkpoint",
                "bytes": changed + whole[middle + 24 :],
            }[damage]
        )
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint|damaged|does not fit"):
        load_model(path)


@pytest.mark.parametrize(
    "target", ["os.system", "cyclegan_audio.models.networks.generators.nn.Linear", "torch.nn.Linear"]
)
def test_a_checkpoint_cannot_name_code_elsewhere(checkpoint, target):
    path, _ = checkpoint
    content = torch.load(path, weights_only=True)
    content["cyclegan_audio"]["config"]["model"]["generator"]["_target_"] = target
    torch.save(content, path)
    with pytest.raises(UserError, match=rf"model\.generator names {re.escape(target)}, which is not built"):
        load_model(path)


def test_mel_settings_that_do_not_match_their_hash(checkpoint):
    path, _ = checkpoint
    content = torch.load(path, weights_only=True)
    content["cyclegan_audio"]["mel"]["hop_length"] = 256
    torch.save(content, path)
    with pytest.raises(UserError, match="do not match their hash"):
        load_model(path)


def test_run_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no run 'nowhere'"):
        resolve_run("nowhere")
    with pytest.raises(UserError, match=r"no checkpoints/last\.ckpt"):
        resolve_run(tmp_path)
    with pytest.raises(UserError, match="is not a checkpoint"):
        resolve_run(tmp_path, checkpoint=tmp_path / "x.ckpt")


def test_every_pretrained_model_loads_and_changes_its_input():
    files = sorted(PRETRAINED.glob("*/pair.json"))
    assert [file.parent.name for file in files] == ["demo", "demo_trap", "lofi_rnb", "lofi_trap"]
    mel = torch.linspace(-1, 1, 128)[None, None, :, None].expand(1, 1, 128, 32)
    for file in files:
        assert all(word in PRETRAINED_HELP for word in (file.parent.name, "ship"))
        loaded = load_model(file.parent.name)
        assert list(loaded.generators) == ["ab", "ba"]
        for generator in loaded.generators.values():
            with torch.no_grad():
                there = generator(mel)
            assert there.shape == mel.shape
            assert (there - mel).abs().mean() > 0.01


def test_a_model_of_one_direction_loads_and_saves(checkpoint, tmp_path):
    path, _ = checkpoint
    content = torch.load(path, weights_only=True)
    content["cyclegan_audio"]["directions"] = ["ab"]
    content["state_dict"] = {k: v for k, v in content["state_dict"].items() if not k.startswith("gen_ba")}
    torch.save(content, path)
    save_pretrained(load_model(path), tmp_path / "small")
    for loaded in (load_model(path), load_model(tmp_path / "small")):
        assert (list(loaded.generators), loaded.targets, loaded.frame_multiple) == (["ab"], ["rnb"], 4)
        with pytest.raises(UserError, match=r"translates from lofi to rnb only; .* toward lofi"):
            loaded.generator("lofi")
        with pytest.raises(UserError, match=r"translates from lofi to rnb only; .* toward lofi"):
            loaded.generator("LOFI")
    assert not (tmp_path / "small" / "gen_ba.safetensors").exists()


def test_metadata_without_directions_has_both(checkpoint):
    path, _ = checkpoint
    content = torch.load(path, weights_only=True)
    del content["cyclegan_audio"]["directions"]
    torch.save(content, path)
    assert load_model(path).targets == ["rnb", "lofi"]


def test_loading_does_not_import_the_compiler_of_torch():
    """Its import takes a second; building on the device `meta` would cause it."""
    code = (
        "import sys; from cyclegan_audio.inference.checkpoints import load_model; load_model('demo'); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("size", "message"), [(30, "multiple of 4, got 30"), (0, "integer >= 16")])
def test_the_size_of_images_is_checked(size, message):
    with pytest.raises(UserError, match=message):
        ImageGenerator(size, 4, 1)
