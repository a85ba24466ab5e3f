"""Every file in conf/ composes into the configuration of its command, and its objects can be built."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import CONF_DIR, compose, slug

COMMANDS = sorted(path.stem for path in CONF_DIR.glob("*.yaml"))
CHOICES = sorted(path.relative_to(CONF_DIR) for path in CONF_DIR.glob("*/*.yaml"))
PAPER = json.loads((Path(__file__).parent / "paper_settings.json").read_text())  # all of train, then changes
GROUP_COMMANDS = {"source": "prepare", "vocoder_model": "train_vocoder"}


def command_of(choice: Path) -> str:
    if choice == Path("launcher/ray.yaml"):
        pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the extra `ray` is not installed")
    if choice == Path("callbacks/train_vocoder.yaml"):
        return "train_vocoder"
    return GROUP_COMMANDS.get(choice.parent.name, "train")


def build(node: DictConfig) -> None:
    """Instantiate `node`, or each node in it."""
    if "_target_" in node:
        instantiate(node, _convert_="all")
        return
    for child in node.values():
        if isinstance(child, DictConfig):
            build(child)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_compose(command):
    cfg = compose(command)
    OmegaConf.to_container(cfg, resolve=False, throw_on_missing=False)
    assert len(cfg) > 1


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_choice_composes_and_builds(choice, tmp_path):
    group, name = choice.parent.name, choice.stem
    command = command_of(choice)
    if group == "vocoder":
        build(OmegaConf.load(CONF_DIR / choice))
        return
    overrides = [f"{group}={name}"] + ([f"run_dir={tmp_path}"] if command != "prepare" else [])
    cfg = compose(command, overrides)
    if group in ("experiment", "adversarial"):
        build(cfg.model)
    elif group == "logger":
        assert ("_target_" in cfg.logger) == (name != "none")
    elif group == "data":
        instantiate(cfg.data, frame_multiple=4)
    elif group in ("generator", "discriminator", "schedule"):
        build(cfg.model[group])
    elif group == "vocoder_model":
        instantiate(cfg.model, _convert_="all", mel=instantiate(compose("prepare").mel))
        instantiate(cfg.data, _convert_="all", corpus="corpus")
    elif group not in ("genre_pair", "launcher"):
        build(cfg[group])


def package_nodes(node: DictConfig) -> Iterator[DictConfig]:
    """Yield the nodes in `node`, itself included, whose target is of the package."""
    if str(node.get("_target_", "")).startswith("cyclegan_audio."):
        yield node
    for key in node:
        if not OmegaConf.is_interpolation(node, key) and isinstance(child := node[key], DictConfig):
            yield from package_nodes(child)


@pytest.mark.parametrize("file", sorted(CONF_DIR.rglob("*.yaml")), ids=lambda path: path.stem)
def test_default_numbers_of_targets_agree_with_their_files(file):
    """Numbers a file leaves out or takes from elsewhere are neutral: no seed, average or other size."""
    neutral = {"seed": 0, "n_channels": 1, "size": 256, "ema_decay": 0.0, "warm_up_batches": 0}
    variants = {"resnet_6": {"n_blocks": 6}}.get(file.stem, {})
    for node in package_nodes(OmegaConf.load(file)):
        for name, parameter in inspect.signature(get_object(node._target_)).parameters.items():
            if type(parameter.default) not in (int, float) or name in variants:
                continue
            stated = name in node and not OmegaConf.is_interpolation(node, name)
            expected = node[name] if stated else neutral[name]
            assert parameter.default == expected, f"{node._target_}: {name}"


@pytest.mark.parametrize("pair", ["lofi_trap", "lofi_rnb", "trap_rnb"])
def test_genre_pairs_name_their_genres(pair):
    cfg = compose("train", [f"genre_pair={pair}"])
    assert (cfg.genre_pair.a, cfg.genre_pair.b) == tuple(pair.split("_"))


def test_genres_with_special_characters_give_safe_run_folders():
    cfg = compose("train", ["genre_pair.a='r&b / soul'", "genre_pair.b='a=b'"])
    assert cfg.run_dir.startswith("runs/r_b_soul_a_b/")
    assert slug("///") == "_"


def test_defaults_are_those_of_the_paper():
    cfg = compose("train")
    assert (cfg.model.generator.n_filters, cfg.model.generator.n_blocks, cfg.model.pool_size) == (64, 9, 50)
    assert dict(cfg.model.loss_weights) == {
        "adversarial": 1.0, "cycle": 10.0, "identity": 5.0, "restoration": 0.0, "piece": 0.0,
    }  # fmt: skip
    assert (cfg.n_epochs, cfg.n_epochs_decay, cfg.data.batch_size) == (25, 25, 1)
    assert (cfg.model.optimizer.lr, list(cfg.model.optimizer.betas)) == (2e-4, [0.5, 0.999])


def flat(settings: Any, path: str = "") -> dict[str, Any]:
    """Return nested settings by their path, such as `model.optimizer.lr`."""
    if not isinstance(settings, dict) or not settings:
        return {path: settings}
    return {
        name: value
        for key, child in settings.items()
        for name, value in flat(child, f"{path}.{key}" if path else key).items()
    }


SWITCHES = {
    "data.varispeed": 0,
    "model.cycle_every": 1,
    "model.loss_weights.restoration": 0,
    "model.loss_weights.piece": 0,
    "model.source_variation.probability": 0,
    "model.adversarial.augmentation.probability": 0,
    "model.adversarial.consistency_weight": 0,
    "model.adversarial.lecam_weight": 0,
}
DETAILS = (
    "model.corruption.",
    "model.source_variation.",
    "model.adversarial.augmentation.",
)  # details of what is off


@pytest.mark.parametrize("choice", PAPER)
def test_what_repeats_the_paper_stays_as_it_was(choice):
    """Settings that came later must be off."""
    cfg = OmegaConf.to_container(compose("train", [] if choice == "train" else [choice]), resolve=True)
    assert isinstance(cfg, dict)
    assert cfg["data"].pop("mel") == cfg.get("mel")
    assert cfg["init_from"] is None
    del cfg["model"]["acceleration"]  # no effect on results
    parts = ("n_epochs", "n_epochs_decay", "max_minutes", "mel", "data", "model")
    settings = flat({part: cfg[part] for part in parts if part in cfg})
    stored = PAPER["train"] | PAPER[choice]
    assert {name: settings.get(name, "missing") for name in stored} == stored
    later = {name: value for name, value in settings.items() if name not in stored}
    assert SWITCHES.items() <= later.items()
    assert not any(
        value for name, value in later.items() if name not in SWITCHES and not name.startswith(DETAILS)
    )


def test_the_ablation_of_the_paper_sweeps_what_it_did():
    swept = OmegaConf.load(CONF_DIR / "experiment" / "identity_ablation.yaml")
    assert swept.evaluate_jobs is True
    assert swept.hydra.sweeper.params == {
        "genre_pair": "lofi_trap,lofi_rnb",
        "model.loss_weights.identity": "0,5",
        "seed": "0,1,2",
    }


def test_the_model_for_cpus_says_so_in_its_help():
    first_line = (CONF_DIR / "model" / "cyclegan_small.yaml").read_text().splitlines()[0]
    assert "for CPUs" in first_line
