"""What a configuration from a file may name and hold."""

import re
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from torch import nn, optim

from cyclegan_audio.config import CONF_DIR, compose
from cyclegan_audio.config.allow_list import check_from_file, read_yaml, write_yaml
from cyclegan_audio.utils.errors import UserError

NETWORKS = ("generator", "discriminator", "adversarial", "schedule", "model")
GROUPS = {
    "train": (*NETWORKS, "logger", "trainer", "vocoder", "experiment"),
    "train_vocoder": ("vocoder_model", "logger", "trainer"),
}
CHOICES = [
    (command, f"{group}={path.stem}")
    for command, groups in GROUPS.items()
    for group in groups
    for path in sorted((CONF_DIR / group).glob("*.yaml"))
]


def refused(node: object, match: str, **options: object) -> None:
    """Check that `node` is refused with one line, which matches."""
    with pytest.raises(UserError, match=match) as caught:
        check_from_file({"part": node}, "a.ckpt", **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("command", "choice"), CHOICES)
def test_every_choice_of_conf_is_allowed_once_stored(command, choice):
    cfg = compose(command, [choice, "run_dir=out"])
    stored = read_yaml(write_yaml(cfg), "a.ckpt")
    check_from_file(OmegaConf.to_container(stored, resolve=False), "a.ckpt")
    assert stored == cfg


@pytest.mark.parametrize("name", [n for n, one in vars(optim).items() if isinstance(one, type)])
def test_optimizers_of_torch_are_allowed(name):
    check_from_file({"_target_": f"torch.optim.{name}", "_partial_": True, "lr": 0.1}, "a.ckpt")


def test_the_message_names_the_target_and_how_to_trust_it():
    message = r"^a\.ckpt: part\.x names other_package\.Net, .* add --trust-package other_package$"
    refused({"x": {"_target_": "other_package.Net"}}, message)
    refused({"_target_": "os.makedirs"}, r"part names os\.makedirs, .* use another file$")
    refused({"_target_": "a\x1b[31m\nb"}, r"names 'a\\x1b\[31m\\nb'")


@pytest.mark.parametrize(
    "target",
    [
        "cyclegan_audio.models.networks.generators.nn.Linear",
        "cyclegan_audio.models.networks.generators.ResnetGenerator.forward",
        "cyclegan_audio.models.cyclegan.CycleGAN.load_from_checkpoint",
        "cyclegan_audio.models.cyclegan.TranslationModule",
        "package.module.Class",  # in a comment of conf/
        "pytorch_lightning.Trainer.fit",
        "torch.optim.lr_scheduler.StepLR",
        "torch.optim.adam.Optimizer",
        "torch.optim.Adam.step",
        "torch.nn.Linear",
        "",
        "_target_",
    ],
)
def test_other_objects_and_aliases_are_refused(target):
    refused({"_target_": target}, "which is not built from a file")


def test_nothing_is_imported_to_refuse_a_name(tmp_path, monkeypatch):
    (tmp_path / "never_imported.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for target in ("never_imported", "never_imported.Net", "cyclegan_audio_x.Net", "torch.optimx.Net"):
        refused({"_target_": target}, "not built from a file", trust_packages=["json"])
    assert "never_imported" not in sys.modules


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """Return the name of an installed package with a network, an alias and a function."""
    (tmp_path / "own_networks").mkdir()
    (tmp_path / "own_networks" / "__init__.py").write_text("from own_networks.nets import Net\n")
    (tmp_path / "own_networks" / "nets.py").write_text(
        "import os\nfrom torch import nn\nfrom torch.nn import Linear\n"
        "class Net(nn.Module):\n    pass\n"
        "class Plain:\n    pass\n"
        "def make():\n    return Net()\n"
        "Alias = Net\n"
    )
    (tmp_path / "own_networks" / "broken.py").write_text("import no_such_package_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_networks"
    for name in [name for name in sys.modules if name.startswith("own_networks")]:
        del sys.modules[name]


def test_networks_of_a_trusted_package_are_allowed(package):
    for target in ("own_networks.Net", "own_networks.nets.Net"):
        check_from_file({"_target_": target, "width": 3}, "a.ckpt", trust_packages=[package])
        refused({"_target_": target}, "--trust-package own_networks", trust_packages=["json"])
        refused({"_target_": target}, "--trust-package own_networks", trust_packages=[])


@pytest.mark.parametrize("name", ["Plain", "make", "Linear", "nn.Linear", "os.makedirs", "Alias", "absent"])
def test_nothing_else_of_a_trusted_package_is(package, name):
    message = "--trust-package allows only subclasses of torch.nn.Module that the package itself defines"
    refused({"_target_": f"own_networks.nets.{name}"}, re.escape(message), trust_packages=[package])


def test_a_trusted_module_that_cannot_be_imported_gives_a_line(package):
    refused({"_target_": "own_networks.broken.Net"}, "cannot be imported", trust_packages=[package])


@pytest.mark.parametrize("name", ["no_such_package", "", "a b", ".x", "json.no_such"])
def test_a_trusted_package_must_be_installed(name):
    refused({}, "no such package is installed", trust_packages=[name])


def test_a_base_limits_the_classes():
    generator = {"_target_": "cyclegan_audio.models.networks.generators.ResnetGenerator", "n_filters": 4}
    check_from_file(generator, "a.ckpt", base=nn.Module)
    refused({"_target_": "cyclegan_audio.vocoders.mask.MaskVocoder"}, "not built", base=nn.Module)
    refused({"_target_": "torch.optim.Adam"}, "not built", base=nn.Module)


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "_unknown_", "a.b", "a${b}", 1])
def test_other_keys_are_refused(key):
    refused({key: 1}, "is a key that is not read from a file")


@pytest.mark.parametrize(
    "value",
    ["${oc.env:HOME}", "a${seed}", r"\${seed}", "${}", "${oc.select:mel, null}", b"x", Path("x"), {1}],
)
def test_other_values_are_refused(value):
    refused({"x": [value]}, r"part\.x\.0 is .*, which is not read from a file")


def test_what_conf_puts_into_the_run_folder_stays_there(tmp_path):
    log = {"_target_": "cyclegan_audio.training.callbacks.loss_logging.LossLog", "every_batches": 5}
    check_from_file({**log, "run_dir": "${run_dir}"}, "a.ckpt")
    refused({**log, "run_dir": str(tmp_path)}, r"part\.run_dir is .* not read from a file")
    logger = {"_target_": "cyclegan_audio.training.loggers.wandb_logger", "run_dir": "${run_dir}"}
    check_from_file({**logger, "project": "mine", "group": "g"}, "a.ckpt")
    refused({**logger, "entity": "other"}, r"part\.entity is other.* on the command line")


def test_only_the_download_of_conf_is_allowed(tmp_path):
    vocoder = {"_target_": "cyclegan_audio.vocoders.bigvgan.BigVGANVocoder"}
    for checkpoint in (None, "nvidia/bigvgan_v2_44khz_128band_512x", str(tmp_path)):
        check_from_file({**vocoder, "checkpoint": checkpoint}, "a.ckpt")
    refused({**vocoder, "checkpoint": "other/model"}, r"part\.checkpoint is 'other/model'")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &x [1]\nb: *x", id="anchor"),
        pytest.param("[1]", id="list"),
        pytest.param("a: [", id="broken"),
        pytest.param("!!python/object/apply:os.getcwd []", id="python"),
        pytest.param("[" * 1000, id="deep"),
        pytest.param("[" * 50_000, id="deeper"),
        pytest.param("- " * 2000, id="deep block"),
        pytest.param("a: 1\n" * 2, id="twice"),
        pytest.param(f"a: {'x' * 300_000}", id="long"),
        pytest.param(b"a: 1", id="bytes"),
        pytest.param(None, id="none"),
        pytest.param(3, id="number"),
        pytest.param({"a": 1}, id="mapping"),
    ],
)
def test_other_yaml_is_refused(text):
    with pytest.raises(UserError, match=r"the configuration in a\.ckpt cannot be read") as caught:
        read_yaml(text, "a.ckpt")
    assert str(caught.value).isprintable()


def test_many_interpolations_are_refused():
    refused(["${seed}"] * 501, "too many interpolations")


def test_a_deep_configuration_is_refused():
    node: object = 1
    for _ in range(5000):
        node = [node]
    refused(node, "too deep")


def test_interpolations_that_conf_lacks_are_stored_as_values(monkeypatch):
    monkeypatch.setenv("OWN_RATE", "0.25")
    cfg = compose("train", ["+data.x=[a${seed}]"])
    cfg.model.optimizer.lr = "${oc.decode:${oc.env:OWN_RATE}}"
    stored = read_yaml(write_yaml(cfg), "a.ckpt")
    container = OmegaConf.to_container(stored, resolve=False)
    assert (container["model"]["optimizer"]["lr"], container["data"]["x"]) == (0.25, ["a0"])
    assert container["model"]["seed"] == "${seed}"
    check_from_file({"model": container["model"]}, "a.ckpt")
