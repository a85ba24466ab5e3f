"""Checkpoints, models and corpora from strangers run no code: hostile nodes at any place of real ones."""

import contextlib
import copy
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from cyclegan_audio.cli.error_reporting import print_error
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model, save_pretrained
from cyclegan_audio.training.recipes import Recipe, TranslationRecipe, VocoderRecipe
from cyclegan_audio.training.resume import resumed_config
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE, UserError
from tests.attack.hostile_nodes import CANARY, MARKER, hostile_nodes, inject, prepare
from tests.conftest import write_music

ROOT = Path(__file__).parents[2]
REFUSED = r"not (read|built) from a file|must be a mapping|the configuration in \w+ lacks"
SLOW = pytest.mark.slow
SECRET = "a-secret-of-the-environment"
RECIPES: dict[str, Recipe[Any, Any]] = {"run": TranslationRecipe(), "vocoder": VocoderRecipe()}

TRAIN = (
    "genre_pair.a=low", "genre_pair.b=high", "n_epochs=1", "n_epochs_decay=0", "data.crop_frames=32",
    "precision=32-true", "logger=tensorboard", "callbacks.previews.clips=1", "threads=1",
)  # fmt: skip
TRAIN_VOCODER = (
    "vocoder_model=vocos_small", "model.network.dim=16", "model.network.intermediate_dim=16",
    "model.network.n_blocks=1", "model.network.magnitude_iterations=3", "model.periods=[7]",
    "model.fft_sizes=[256]", "data.segment_frames=8", "data.batch_size=4", "data.val_clips=1",
    "n_epochs=1", "n_epochs_decay=0", "logger=none", "precision=32-true", "threads=1",
)  # fmt: skip
VERBS = {  # arguments after the run
    "translate": ("song.wav", "out.wav", "--to", "high"),
    "evaluate": ("--clips", "1"),
    "compare": ("demo",),
    "export": ("out.onnx",),
    "listening_test": ("--clips", "1"),
}


def call(verb: str, *arguments: str) -> int | str | None:
    """Run a verb in this process; return its exit code."""
    module = import_module(f"cyclegan_audio.{verb}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [verb, *arguments])
        try:
            module.main()
        except SystemExit as stop:
            return stop.code
    return 0


@dataclass
class Workplace:
    """A folder with two trained runs, what hostile nodes use, and the runs' untouched checkpoints."""

    folder: Path
    content: dict[str, dict[str, Any]] = field(default_factory=dict)

    def composed(self, run: str) -> dict[str, Any]:
        """Return the configuration of a run, not resolved."""
        config = OmegaConf.create(self.content[run]["cyclegan_audio"]["composed"])
        return OmegaConf.to_container(config, resolve=False)  # type: ignore[return-value]

    def rewrite(self, run: str, **metadata: Any) -> None:
        """Write the checkpoint of a run with other metadata."""
        content = self.content[run]
        changed = {**content, "cyclegan_audio": {**content["cyclegan_audio"], **metadata}}
        torch.save(changed, self.folder / run / "checkpoints" / "last.ckpt")

    def state(self) -> dict[str, tuple[int, int]]:
        """Return size and time of each file and folder here."""
        states = {str(path): path.lstat() for path in self.folder.rglob("*")}
        return {
            path: (one.st_size * (not os.path.isdir(path)), one.st_mtime_ns) for path, one in states.items()
        }


@pytest.fixture(scope="module")
def trained(corpus, tiny, tmp_path_factory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("attack"))
    runs = {"train": ("run", *tiny, *TRAIN), "train_vocoder": ("vocoder", *TRAIN_VOCODER)}
    for verb, (run, *arguments) in runs.items():
        folder = place.folder / run
        assert call(verb, *arguments, f"corpus={corpus}", f"run_dir={folder}") in (0, None)
        (folder / "checkpoints" / "best.ckpt").unlink(missing_ok=True)
        place.content[run] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    write_music(place.folder, "low", 1, 1.5)
    (place.folder / "low_0.wav").rename(place.folder / "song.wav")
    prepare(place.folder)
    return place


@pytest.fixture
def attack(trained, monkeypatch, capfd) -> Iterator[Callable[..., str]]:
    """Return a function that calls an action, and checks that it ends in one line and leaves nothing."""
    monkeypatch.chdir(trained.folder)
    monkeypatch.syspath_prepend(str(trained.folder))
    monkeypatch.setenv("ATTACK_SECRET", SECRET)
    monkeypatch.setenv("WANDB_MODE", "offline")

    def run(
        label: str, action: Callable[..., int | str | None], *arguments: str, match: str = REFUSED
    ) -> str:
        before = trained.state()
        code = action(*arguments)
        out, err = capfd.readouterr()
        lines = err.strip().split("\n")
        assert code == USER_ERROR_EXIT_CODE, f"{label}: exit code {code}\n{out}\n{err}"
        assert len(lines) == 1, f"{label}:\n{err}"
        assert lines[0].startswith("error: "), f"{label}:\n{err}"
        assert lines[0].isprintable(), f"{label}:\n{err}"
        assert re.search(match, lines[0]), f"{label}:\n{err}"
        assert SECRET not in out + err, label
        assert CANARY not in sys.modules, label
        assert trained.state() == before, f"{label}: {set(trained.state()) ^ set(before)}"
        return lines[0]

    yield run
    trained.rewrite("run")
    trained.rewrite("vocoder")


def resume_directly(run: str) -> int:
    """Read the configuration of a run as the command does; return its exit code."""
    try:
        resumed_config(run, ["n_epochs=2"], RECIPES[run].networks)
    except UserError as error:
        print_error(str(error))
        return USER_ERROR_EXIT_CODE
    return 0


def attack_run(
    attack: Callable[..., str], trained: Workplace, run: str, seed: int, name: str, *, by_command: bool
) -> None:
    """Rewrite a run with a hostile node at a place that the seed chooses, and resume it."""
    hostile = hostile_nodes(trained.folder)[name]
    changed, where = inject(trained.composed(run), hostile, random.Random(f"{seed} {run} {name}"))
    trained.rewrite(run, composed=OmegaConf.to_yaml(OmegaConf.create(changed)))
    label = f"seed {seed}, {run}, {name}, {where}"
    if by_command:
        attack(label, call, RECIPES[run].command, f"resume={run}", "n_epochs=2")
    else:
        attack(label, resume_directly, run)


@pytest.mark.parametrize("run", RECIPES)
@pytest.mark.parametrize(("seeds", "share"), [(range(1), 10), pytest.param(range(1, 11), 1, marks=SLOW)])
def test_configurations_of_runs_are_refused(attack, trained, run, seeds, share):
    """Each hostile node at a random node of the real configuration."""
    for seed in seeds:
        for name in list(hostile_nodes(trained.folder))[::share]:
            attack_run(attack, trained, run, seed, name, by_command=False)


@pytest.mark.parametrize("run", RECIPES)
@pytest.mark.parametrize("share", [30, pytest.param(1, marks=SLOW)])
def test_resume_refuses_hostile_runs(attack, trained, run, share):
    """The same by the command, from another seed."""
    for name in list(hostile_nodes(trained.folder))[::share]:
        attack_run(attack, trained, run, 100, name, by_command=True)


def rewrite_generator(trained: Workplace, seed: int, name: str) -> str:
    """Put a hostile node into the resolved generator of the trained model; return a label."""
    config = trained.content["run"]["cyclegan_audio"]["config"]
    hostile = hostile_nodes(trained.folder)[name]
    changed, where = inject(
        {"generator": config["model"]["generator"]}, hostile, random.Random(f"{seed} {name}")
    )
    trained.rewrite("run", config={**config, "model": {**config["model"], **changed}})
    return f"seed {seed}, {name}, {where}"


def load_directly(run: str) -> int:
    """Load a model; return the exit code of a command that does."""
    try:
        load_model(run)
    except UserError as error:
        print_error(str(error))
        return USER_ERROR_EXIT_CODE
    return 0


@pytest.mark.parametrize(("seeds", "share"), [(range(1), 5), pytest.param(range(1, 11), 1, marks=SLOW)])
def test_models_are_refused(attack, trained, seeds, share):
    """Each hostile node in the generator of a checkpoint."""
    for seed in seeds:
        for name in list(hostile_nodes(trained.folder))[::share]:
            attack(rewrite_generator(trained, seed, name), load_directly, "run")


def test_cards_are_refused(attack, trained, tmp_path):
    """Each hostile node that JSON can hold in `pair.json` of a shared model."""
    save_pretrained(load_model(trained.folder / "run"), tmp_path)
    card = json.loads((tmp_path / "pair.json").read_text())
    for name, hostile in hostile_nodes(trained.folder).items():
        rng = random.Random(name)
        changed, where = inject({"generator": card["config"]["model"]["generator"]}, hostile, rng)
        (tmp_path / "pair.json").write_text(json.dumps({**card, "config": {"model": changed}}))
        attack(f"{name}, {where}", load_directly, str(tmp_path))


@pytest.mark.parametrize("verb", [*sorted(VERBS.keys() - {"compare"}), pytest.param("compare", marks=SLOW)])
@pytest.mark.parametrize("share", [40, pytest.param(8, marks=SLOW)])
def test_verbs_refuse_hostile_models(attack, trained, verb, share):
    for name in list(hostile_nodes(trained.folder))[::share]:
        label = rewrite_generator(trained, 0, name)
        attack(f"{verb}, {label}", call, verb, "run/checkpoints/last.ckpt", *VERBS[verb])


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=SLOW)])
def test_corpora_build_nothing(trained, corpus, tmp_path, monkeypatch, count):
    """Hostile nodes at any place in `corpus.json` are plain values."""
    monkeypatch.syspath_prepend(str(trained.folder))
    shutil.copytree(corpus, tmp_path / "corpus")
    file = tmp_path / "corpus" / "corpus.json"
    settings, nodes = json.loads(file.read_text()), hostile_nodes(trained.folder)
    before = trained.state()
    for seed in range(count):
        rng = random.Random(seed)
        changed, where = inject(settings, nodes[rng.choice(list(nodes))], rng)
        file.write_text(json.dumps(changed))
        with contextlib.suppress(Exception):
            Corpus.open(tmp_path / "corpus").mel_db(Corpus.open(corpus).clips("low", "test")[0])
        assert CANARY not in sys.modules, f"seed {seed}, {where}"
        assert trained.state() == before, f"seed {seed}, {where}"


@SLOW
def test_a_process_of_its_own_imports_nothing(attack, trained):
    """The canary can be imported there, and writes a file if it is."""
    changed = trained.composed("run")
    changed["model"]["extra_losses"] = {"attack": {"_target_": f"{CANARY}.Net"}}
    trained.rewrite("run", composed=OmegaConf.to_yaml(OmegaConf.create(changed)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(trained.folder)])}
    command = [sys.executable, "-m", "cyclegan_audio.train", "resume=run", "n_epochs=2"]
    before = trained.state()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == USER_ERROR_EXIT_CODE
    assert done.stderr.count("\n") == 1
    assert f"model.extra_losses.attack names {CANARY}.Net" in done.stderr
    assert f"--trust-package {CANARY}" in done.stderr
    assert trained.state() == before


def test_what_the_user_gives_is_not_checked(attack, trained):
    """A hostile setting of the run does no harm if the command line replaces it."""
    changed = trained.composed("run")
    changed["logger"] = {"_target_": "os.makedirs", "name": str(trained.folder / MARKER)}
    changed["n_epochs"] = "${oc.env:ATTACK_SECRET}"
    trained.rewrite("run", composed=OmegaConf.to_yaml(OmegaConf.create(changed)))
    networks = RECIPES["run"].networks
    attack("as it is", call, "train", "resume=run")
    assert resumed_config("run", ["logger=none", "n_epochs=2"], networks).logger == {}
    with pytest.raises(UserError, match=r"logger names os\.makedirs"):
        resumed_config("run", ["n_epochs=2"], networks)
    with pytest.raises(UserError, match="n_epochs is"):
        resumed_config("run", ["logger=none"], networks)


WRONG_PLACES = [
    ("model._target_", "cyclegan_audio.vocoders.mask.MaskVocoder", REFUSED),
    ("data._target_", "cyclegan_audio.corpus.screening.Silence", REFUSED),
    ("data", {"_target_": "torch.optim.Adam", "lr": 0.1}, "invalid `data` settings"),
    ("callbacks.extra", {"_target_": "pytorch_lightning.Trainer"}, "extra is not a Lightning callback"),
    ("callbacks.extra", None, "to leave it out, write ~callbacks.extra"),
    (
        "callbacks.extra",
        {"_target_": "cyclegan_audio.audio.mel.MelSpectrogram"},
        "invalid `callbacks.extra`",
    ),
    ("model.generator", {"_target_": "torch.optim.SGD", "_partial_": True}, "invalid `model` settings"),
    ("model.schedule._target_", "torch.optim.SGD", "run cannot be resumed|invalid `model` settings"),
    ("trainer.accelerator", "text", "text"),
    ("trainer.strategy", "text", "run cannot be resumed|invalid `trainer` settings"),
    ("trainer.devices", 10_000, "trainer.devices=10000, and this machine"),
    ("trainer.devices", "10000", "trainer.devices=.10000., and this machine"),
    ("model.generator.n_filters", 5, "weights in .* are not of these networks"),
    ("model", "text", "configuration in run lacks model"),
    ("data", None, "configuration in run lacks data"),
    ("corpus", 3, "corpus 3 of this run does not exist"),
    ("vocoder", -1, "callbacks.previews.vocoder must be a vocoder, got -1"),
    ("vocoder.rounds", {"a": 1}, "vocoder.rounds must be an integer >= 0"),
]


@pytest.mark.parametrize(
    ("where", "value", "match"),
    [case if index % 3 else pytest.param(*case, marks=SLOW) for index, case in enumerate(WRONG_PLACES)],
)
def test_allowed_classes_in_the_wrong_place_give_a_line(attack, trained, where, value, match):
    changed = OmegaConf.create(trained.composed("run"))
    OmegaConf.update(changed, where, value, merge=False)
    trained.rewrite("run", composed=OmegaConf.to_yaml(changed))
    attack(where, call, "train", "resume=run", "n_epochs=2", "logger=none", match=match)


@pytest.fixture
def trusted(trained, monkeypatch) -> Iterator[str]:
    """Return the name of an installed package that defines the generator of the trained run."""
    package = "trusted_networks"
    (trained.folder / f"{package}.py").write_text(
        "from cyclegan_audio.models.networks.generators import ResnetGenerator\n"
        "class Net(ResnetGenerator):\n    pass\n"
    )
    monkeypatch.chdir(trained.folder)
    monkeypatch.syspath_prepend(str(trained.folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(trained.folder)]))
    config = copy.deepcopy(trained.content["run"]["cyclegan_audio"]["config"])
    composed = trained.composed("run")
    for one in (config, composed):
        one["model"]["generator"]["_target_"] = f"{package}.Net"
    trained.rewrite("run", config=config, composed=OmegaConf.to_yaml(OmegaConf.create(composed)))
    yield package
    sys.modules.pop(package, None)
    trained.rewrite("run")


def test_a_trusted_generator_resumes_and_is_not_trusted_later(attack, trusted):
    """The checkpoint that it writes does not trust the package."""
    arguments = ("train", "resume=run", "run_dir=second", "logger=none", "n_epochs=2")
    attack("not trusted", call, *arguments)
    assert call(*arguments, f"trust_package={trusted}") in (0, None)
    assert "trusted_networks.Net" in Path("second/config.yaml").read_text()
    attack("resumed", call, "train", "resume=second", "n_epochs=3")
    for name in ("second/checkpoints/best.ckpt", "second"):
        attack("its checkpoint", load_directly, name)
    shutil.rmtree("second")


@pytest.mark.usefixtures("quick_classifiers")
@pytest.mark.parametrize(
    "verb", ["translate", *(pytest.param(verb, marks=SLOW) for verb in VERBS if verb != "translate")]
)
def test_each_verb_builds_the_generator_of_a_trusted_package(attack, trusted, verb):
    run = ["run/checkpoints/last.ckpt", *VERBS[verb]]
    if verb == "compare":  # with a run of the same genres
        run[1] = shutil.copy(run[0], "run/checkpoints/best.ckpt")
    if verb in ("evaluate", "compare"):
        run += ["--out", "out"]
    attack(f"{verb}, not trusted", call, verb, *run)
    attack(f"{verb}, another is", call, verb, *run, "--trust-package", "json")
    assert call(verb, *run, "--trust-package", "json", f"trust_package={trusted}") in (0, None)
