"""Check a configuration that comes from a file: which classes it may name, and which values it may hold.

Allowed are the classes that `conf/` names, the optimizers of `torch.optim`, and networks of trusted packages.
"""

import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_audio.utils.errors import FileError, UserError
from cyclegan_audio.utils.paths import CONF_DIR

TARGET, RUN_DIR, CHECKPOINT = "_target_", "${run_dir}", "checkpoint"
_KEY = re.compile(r"[^.\[\]{}$]+")
_SPECIAL_KEY = re.compile(r"_\w+_")
_PLAIN = (str, int, float, bool, type(None))
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_READ_ERRORS = (yaml.YAMLError, OmegaConfBaseException, TypeError, ValueError, AttributeError, RecursionError)
_MAX_CHARACTERS = 1 << 16  # of YAML; a run has about 4,000
_MAX_BRACKETS = 1000  # a run has about 50; PyYAML takes quadratic time
_MAX_INTERPOLATIONS = 500  # a run has about 40


@dataclass(frozen=True)
class _Conf:
    """What the files of `conf/` hold.

    Attributes:
        arguments: for each class, the values that `conf/` gives to each of its arguments.
        special_keys: Hydra's keys in use, such as `_partial_`.
        interpolations: values with `${...}`.
    """

    arguments: Mapping[str, Mapping[str, list[Any]]]
    special_keys: Collection[str]
    interpolations: Collection[str]


@lru_cache(maxsize=1)
def _conf() -> _Conf:
    arguments: dict[str, dict[str, list[Any]]] = {}
    special_keys, interpolations = set(), set()
    for path in sorted(CONF_DIR.rglob("*.yaml")):
        for _, node in _walk(yaml.safe_load(path.read_text(encoding="utf-8")), ""):
            if isinstance(node, str) and "${" in node:
                interpolations.add(node)
            elif isinstance(node, dict):
                special_keys |= {key for key in node if _SPECIAL_KEY.fullmatch(key)}
                for key, value in node.items() if TARGET in node else ():
                    arguments.setdefault(node[TARGET], {}).setdefault(key, []).append(value)
    return _Conf(arguments, special_keys, interpolations)


def _walk(node: Any, path: str, skip: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """Yield each node of nested mappings and lists with its dotted path, parents first, except `skip`."""
    if path and path in skip:
        return
    yield path, node
    children: Any = ()
    if isinstance(node, Mapping):
        children = node.items()
    elif isinstance(node, list):
        children = enumerate(node)
    for key, child in children:
        yield from _walk(child, _join(path, key), skip)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def read_yaml(text: Any, file: str | Path) -> DictConfig:
    """Parse the configuration in a file, without resolving it.

    Raises:
        UserError: it is no YAML mapping, too long or too deep, or has anchors, which can multiply its size.
    """
    try:
        if len(text) > _MAX_CHARACTERS or text.count("[") + text.count("{") > _MAX_BRACKETS:
            raise ValueError("too long")
        if yaml.AnchorToken in map(type, yaml.scan(text)):
            raise ValueError("it has anchors")
        config = OmegaConf.create(text)
        if not isinstance(config, DictConfig):
            raise ValueError("no mapping")
    except _READ_ERRORS as error:
        reason = ascii(" ".join(str(error).split())[:80])
        raise UserError(f"the configuration in {file} cannot be read ({reason}); use another file") from error
    return config


def write_yaml(config: DictConfig) -> str:
    """Write a configuration that `check_from_file` accepts: resolve interpolations that `conf/` lacks."""

    def settle(raw: Any, resolved: Any) -> Any:
        if isinstance(raw, dict) and isinstance(resolved, dict):
            return {key: settle(value, resolved[key]) for key, value in raw.items()}
        if isinstance(raw, list) and isinstance(resolved, list):
            return [settle(*pair) for pair in zip(raw, resolved, strict=True)]
        return raw if _is_plain(raw) else resolved

    containers = (OmegaConf.to_container(config, resolve=resolve) for resolve in (False, True))
    return OmegaConf.to_yaml(OmegaConf.create(settle(*containers)))


def _is_plain(value: Any) -> bool:
    """Return whether a value may stand in a file: interpolations only as they stand in `conf/`."""
    if isinstance(value, str) and "${" in value:
        return value in _conf().interpolations
    return isinstance(value, _PLAIN)


def check_from_file(
    config: Any,
    file: str | Path,
    name: str = "",
    *,
    own: Collection[str] = (),
    trust_packages: Collection[str] = (),
    base: type | None = None,
) -> None:
    """Check that building `config` runs only allowed classes; nothing else is imported, run or resolved.

    Args:
        config: nested plain values of a file, with interpolations.
        file: the file, for messages.
        name: the dotted name of `config` in the whole configuration.
        own: dotted names of settings that the user gives on the command line; they are not checked.
        trust_packages: packages whose classes may be built if they are derived from `nn.Module`.
        base: the base of all classes; by default any.

    Raises:
        UserError: names the first node that is not allowed.
    """
    check_packages(trust_packages)
    try:
        nodes = list(_walk(config, name, own))
    except RecursionError as error:
        raise FileError(f"the configuration in {file} is too deep; use another file") from error
    if sum(isinstance(node, str) and "${" in node for _, node in nodes) > _MAX_INTERPOLATIONS:
        raise FileError(f"the configuration in {file} has too many interpolations; use another file")
    for path, node in nodes:
        if isinstance(node, Mapping):
            _check_keys(node, path, file)
            if TARGET in node and _join(path, TARGET) not in own:
                found = _find_class(node[TARGET], path, file, trust_packages, base)
                given = {key: value for key, value in node.items() if _join(path, key) not in own}
                _check_arguments(found, given, path, file)
        elif not isinstance(node, list) and not _is_plain(node):
            raise FileError(
                f"{file}: {_shown(path)} is {_shown(node)}, which is not read from a file; "
                f"use another file, or with resume= give {_shown(path)}=VALUE"
            )


def _check_keys(node: Mapping[Any, Any], path: str, file: str | Path) -> None:
    for key in node:
        is_name = isinstance(key, str) and _KEY.fullmatch(key)
        if not is_name or (_SPECIAL_KEY.fullmatch(key) and key not in _conf().special_keys):
            raise FileError(
                f"{file}: {_shown(_join(path, key))} is a key that is not read from a file; use another file"
            )


def _find_class(
    target: Any, path: str, file: str | Path, trust_packages: Collection[str], base: type | None
) -> Any:
    found = _locate_allowed(target, trust_packages) if isinstance(target, str) else None
    if found is None or (base is not None and not (isinstance(found, type) and issubclass(found, base))):
        raise FileError(f"{file}: {_shown(path)} names {_shown(target)}, {_refusal(target, trust_packages)}")
    return found


def _locate_allowed(target: str, trust_packages: Collection[str]) -> Any:
    """Return the object of that name, or None. Nothing is imported unless its name may be allowed."""
    from torch import nn, optim

    is_in_conf = target in _conf().arguments
    is_trusted = any(target.startswith(f"{package}.") for package in trust_packages)
    if not (is_in_conf or is_trusted or target.startswith(f"{optim.__name__}.")):
        return None
    try:
        found = locate(target)
    except ErrorDuringImport as error:
        raise UserError(
            f"{_shown(target)} cannot be imported ({error.value}); correct its package"
        ) from error
    is_optimizer = _is_defined_in(found, target, (optim.__name__,), optim.Optimizer)
    is_network = is_trusted and _is_defined_in(found, target, trust_packages, nn.Module)
    return found if is_in_conf or is_optimizer or is_network else None


def _is_defined_in(found: Any, target: str, packages: Collection[str], base: type) -> bool:
    """Return whether `found` is a subclass of `base` that one of `packages` itself defines by this name."""
    return (
        isinstance(found, type)
        and issubclass(found, base)
        and any(f"{found.__module__}.".startswith(f"{package}.") for package in packages)
        and found.__qualname__ == target.rpartition(".")[2]
    )


def _check_arguments(found: Any, node: Mapping[str, Any], path: str, file: str | Path) -> None:
    """Check that a class of `conf/` gets no unnamed options, and paths and downloads only as in `conf/`."""
    in_conf = _conf().arguments.get(node[TARGET], {})
    names = _parameter_names(found)
    for key, value in node.items():
        known = in_conf.get(key, [])
        is_named = not in_conf or key in in_conf or key in names
        is_elsewhere = RUN_DIR in known and value != RUN_DIR
        is_unknown = key == CHECKPOINT and not (
            value is None or value in known or (isinstance(value, str) and os.path.exists(value))
        )
        if not is_named or is_elsewhere or is_unknown:
            name = _shown(_join(path, key))
            raise FileError(
                f"{file}: {name} is {_shown(value)}, which is not read from a file; "
                f"give {name}=VALUE on the command line, or use another file"
            )


def _parameter_names(found: Any) -> set[str]:
    """Return the names of all arguments that a function, or a class and its bases, define."""
    makers = [found]
    if isinstance(found, type):
        makers = [vars(base)["__init__"] for base in found.__mro__ if "__init__" in vars(base)]
    parameters = (one for maker in makers for one in inspect.signature(maker).parameters.values())
    return {one.name for one in parameters if one.kind not in _VARIADIC}


def _refusal(target: Any, trust_packages: Collection[str]) -> str:
    package = str(target).partition(".")[0]
    if any(str(target).startswith(f"{one}.") for one in trust_packages):
        return "but --trust-package allows only subclasses of torch.nn.Module that the package itself defines"
    is_ours_or_python = package in {"torch", "cyclegan_audio", *sys.stdlib_module_names}
    if is_ours_or_python or not package.isidentifier():
        return "which is not built from a file; it is damaged or an attack, use another file"
    return (
        "which is not built from a file; if that is a network or a loss of an installed package that you "
        f"trust, add --trust-package {_shown(package)}"
    )


def check_packages(trust_packages: Collection[str]) -> None:
    """Check that the packages to trust are installed.

    Raises:
        UserError: one is not.
    """
    for package in trust_packages:
        try:
            is_installed = importlib.util.find_spec(package) is not None
        except (ImportError, ValueError, AttributeError):
            is_installed = False
        if not is_installed:
            raise UserError(
                f"--trust-package {_shown(package)}: no such package is installed; give the name by which "
                "Python imports it"
            )


def _shown(text: Any) -> str:
    """Return a text of a file for a message: printable and short."""
    shown = str(text)
    return shown if re.fullmatch(r"[\w.\-]{1,120}", shown) else ascii(shown[:120])
