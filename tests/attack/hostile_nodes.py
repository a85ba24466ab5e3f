"""Nodes of a configuration that would run code, write files or read the environment if they were built."""

import pickle
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

MARKER, CANARY = "marker", "canary_package"
Node = dict[str, Any] | str


class Payload:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.mkdir, (str(self.marker),)


def prepare(folder: Path) -> None:
    """Write what hostile nodes use into `folder`: a pickle, and a package that writes a file on import."""
    (folder / "payload.pkl").write_bytes(pickle.dumps(Payload(folder / MARKER)))
    package = folder / CANARY
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pathlib import Path\nfrom torch import nn\n"
        f"Path({str(folder / MARKER)!r}).touch()\n"
        "class Net(nn.Module):\n    frame_multiple = 4\n"
        "    def __init__(self, **kwargs): super().__init__()\n"
        "def act(*args, **kwargs): return Net()\n"
    )


def hostile_nodes(folder: Path) -> dict[str, Node]:
    """Return hostile nodes by a short name; most would leave a trace in `folder` if they were built.

    Args:
        folder: the folder of `prepare`.
    """
    mark, pickled = str(folder / MARKER), str(folder / "payload.pkl")
    code = f"__import__('pathlib').Path({mark!r}).touch()"
    calls: dict[str, dict[str, Any]] = {
        "sympy.sympify": {"a": code},
        "numpy.load": {"file": pickled, "allow_pickle": True},
        "torch.load": {"f": pickled, "weights_only": False},
        "torch.hub.load_state_dict_from_url": {"url": f"file://{pickled}", "model_dir": mark},
        "os.makedirs": {"name": mark},
        "os.mkdir": {"path": mark},
        "os.symlink": {"src": "/", "dst": mark},
        "os.system": {"command": f"touch {mark}"},
        "posix.system": {"command": f"touch {mark}"},
        "pathlib.Path.touch": {"self": mark},
        "shutil.copytree": {"src": str(folder / CANARY), "dst": mark},
        "numpy.savetxt": {"fname": mark, "X": [1.0]},
        "logging.FileHandler": {"filename": mark},
        "logging.config.dictConfig": {"config": {"version": 1}},
        "builtins.open": {"file": mark, "mode": "w"},
        "builtins.eval": {"_args_": [code]},
        "builtins.exec": {"_args_": [code]},
        "builtins.__import__": {"name": CANARY},
        "subprocess.run": {"args": ["touch", mark]},
        "subprocess.Popen": {"args": ["touch", mark]},
        "subprocess.check_output": {"_args_": [["touch", mark]]},
        "importlib.import_module": {"name": CANARY},
        "runpy.run_path": {"path_name": str(folder / CANARY / "__init__.py")},
        "pydoc.locate": {"path": CANARY},
        "functools.partial": {"_args_": [f"{CANARY}.act"]},
        "hydra.utils.instantiate": {"config": {"_target_": "os.makedirs", "name": mark}},
        "hydra.utils.call": {"config": {"_target_": "os.makedirs", "name": mark}, "_recursive_": False},
        "hydra.utils.get_method": {"path": f"{CANARY}.act"},
        "hydra.utils.get_class": {"path": f"{CANARY}.Net"},
        "hydra.utils.get_object": {"path": f"{CANARY}.act"},
        "omegaconf.OmegaConf.load": {"file_": pickled},
        f"{CANARY}.Net": {},
        f"{CANARY}.act": {},
        CANARY: {},
        "torch.nn.Linear": {"in_features": 1, "out_features": 1},
        "torch.optim.lr_scheduler.LambdaLR": {"optimizer": None, "lr_lambda": None},
        "torch.optim.optimizer.warnings.warn": {"message": "x"},
        "torch.optim.adam.Optimizer": {"params": [], "defaults": {}},
        "pytorch_lightning.loggers.CSVLogger": {"save_dir": mark},
        "pytorch_lightning.trainer.trainer.os.makedirs": {"name": mark},
        "cyclegan_audio.models.networks.generators.nn.Linear": {"in_features": 1, "out_features": 1},
        "cyclegan_audio.models.networks.generators.torch.load": {"f": pickled, "weights_only": False},
        "cyclegan_audio.inference.checkpoints.torch.load": {"f": pickled, "weights_only": False},
        "cyclegan_audio.inference.checkpoints.pickle.loads": {"_args_": ["cos\nmkdir\n."]},
        "cyclegan_audio.training.sweep.subprocess.run": {"args": ["touch", mark]},
        "cyclegan_audio.training.sweep.evaluate_run": {"run": mark},
        "cyclegan_audio.utils.atomic.atomic_write_text": {"path": mark, "text": "x"},
        "cyclegan_audio.utils.atomic.os.makedirs": {"name": mark},
        "cyclegan_audio.config.build": {"name": "x", "config": {"_target_": "os.mkdir", "path": mark}},
        "cyclegan_audio.inference.checkpoints.load_model": {"run": "demo"},
        "cyclegan_audio.models.cyclegan.ResnetGenerator": {},
        "cyclegan_audio.training.loggers.tensorboard_logger": {"run_dir": mark},
        "cyclegan_audio.training.loggers.wandb_logger": {"run_dir": mark, "project": "p", "name": "n"},
        "cyclegan_audio.training.callbacks.checkpoints.CheckpointCallback": {"run_dir": mark},
        "cyclegan_audio.vocoders.bigvgan.BigVGANVocoder": {"checkpoint": "nobody/no_such_model"},
        "\x1b[31mos.makedirs": {"name": mark},
        "os.makedirs\nos.makedirs": {"name": mark},
    }
    run_dir = {"run_dir": "${run_dir}"}
    nodes: dict[str, Node] = {
        repr(target): {"_target_": target, **arguments} for target, arguments in calls.items()
    }
    logger = "cyclegan_audio.training.loggers.tensorboard_logger"
    makedirs = f"{{_target_: os.makedirs, name: '{mark}'}}"
    return nodes | {
        "an option that leaves the folder": {"_target_": logger, **run_dir, "sub_dir": mark},
        "positional arguments": {"_target_": logger, "_args_": [mark]},
        "no recursion": {"_target_": logger, **run_dir, "_recursive_": False},
        "a conversion": {"_target_": logger, **run_dir, "_convert_": "object"},
        "a target by reference": {"_target_": "${seed}"},
        "a target that is a mapping": {"_target_": {"_target_": "os.getcwd"}},
        "a target that is missing": {"_target_": "???"},
        "a name that is no text": {1: {"_target_": "os.getcwd"}},
        "the environment": "${oc.env:ATTACK_SECRET}",
        "the environment, hidden": "${oc.${seed}:ATTACK_SECRET}",
        "the environment, escaped": r"\${oc.env:ATTACK_SECRET}",
        "the environment, in text": "a${seed}${oc.env:ATTACK_SECRET}",
        "a created node": f"${{oc.create:{makedirs}}}",
        "a decoded node": f'${{oc.decode:"{makedirs}"}}',
        "a default that is a node": f"${{oc.select:no.such,{makedirs}}}",
        "two halves of a resolver": "$${seed}{oc.env:ATTACK_SECRET}",
        "Hydra's own settings": "${hydra:runtime.cwd}",
        "the dictionary's keys": "${oc.dict.values:model}",
    }


def paths_of(config: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each node of nested mappings and lists, except the root and `n_epochs`."""
    if path == ("n_epochs",):  # the attacks give it on the command line
        return
    if path:
        yield path
    pairs = config.items() if isinstance(config, dict) else ()
    children = enumerate(config) if isinstance(config, list) else pairs
    for key, child in children:
        yield from paths_of(child, (*path, key))


def inject(config: dict[str, Any], hostile: Node, rng: random.Random) -> tuple[dict[str, Any], str]:
    """Return `config` with a hostile node at a random place, and a description of the place.

    The node replaces another one, is added to a mapping, or changes the mapping itself.
    """
    changed: Any = deepcopy(config)
    path = rng.choice(list(paths_of(config)))
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    there = parent[path[-1]]
    actions = ["replace"]
    if isinstance(there, dict):
        actions += ["add"] + ["change"] * isinstance(hostile, dict)
    if isinstance(there, list):
        actions.append("add")
    action = rng.choice(actions)
    if action == "replace":
        parent[path[-1]] = hostile
    elif action == "change":
        there.update(hostile)
    elif isinstance(there, list):
        there.append(hostile)
    else:
        there["attack"] = hostile
    return changed, f"{action} {'.'.join(map(str, path))}"
