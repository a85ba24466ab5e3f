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

from cyclegan_audio.utils.errors import FileError, UserError, error_reason, shortened
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
        raise UserError(
            f"the configuration in {file} cannot be read ({error_reason(error)}); use another file"
        ) from error
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
    given: Collection[str] = (),
    trust_packages: Collection[str] = (),
    base: type | None = None,
) -> None:
    """Check that building `config` runs only allowed classes; nothing else is imported, run or resolved.

    Args:
        config: nested plain values of a file, with interpolations.
        file: the file, for messages.
        name: the dotted name of `config` in the whole configuration.
        given: dotted names of settings that the user gives on the command line; they are not checked.
        trust_packages: packages whose classes may be built if they are derived from `nn.Module`.
        base: the base of all classes; by default any.

    Raises:
        UserError: names the first node that is not allowed.
    """
    check_packages(trust_packages)
    try:
        nodes = list(_walk(config, name, given))
    except RecursionError as error:
        raise FileError(f"the configuration in {file} is too deep; use another file") from error
    if sum(isinstance(node, str) and "${" in node for _, node in nodes) > _MAX_INTERPOLATIONS:
        raise FileError(f"the configuration in {file} has too many interpolations; use another file")
    for path, node in nodes:
        if isinstance(node, Mapping):
            _check_keys(node, path, file)
            if TARGET in node and _join(path, TARGET) not in given:
                target = _find_class(node[TARGET], path, file, trust_packages, base)
                stored = {key: value for key, value in node.items() if _join(path, key) not in given}
                _check_arguments(target, stored, path, file)
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
    name: Any, path: str, file: str | Path, trust_packages: Collection[str], base: type | None
) -> Any:
    target = _locate_allowed(name, trust_packages) if isinstance(name, str) else None
    if target is None or (base is not None and not (isinstance(target, type) and issubclass(target, base))):
        raise FileError(f"{file}: {_shown(path)} names {_shown(name)}, {_refusal(name, trust_packages)}")
    return target


def _locate_allowed(name: str, trust_packages: Collection[str]) -> Any:
    """Return the class or function of that name, or None; import it only if its name may be allowed."""
    from torch import nn, optim

    is_in_conf = name in _conf().arguments
    is_trusted = any(name.startswith(f"{package}.") for package in trust_packages)
    if not (is_in_conf or is_trusted or name.startswith(f"{optim.__name__}.")):
        return None
    try:
        target = locate(name)
    except ErrorDuringImport as error:
        raise UserError(f"{_shown(name)} cannot be imported ({error.value}); correct its package") from error
    is_optimizer = _is_defined_in(target, name, (optim.__name__,), optim.Optimizer)
    is_network = is_trusted and _is_defined_in(target, name, trust_packages, nn.Module)
    return target if is_in_conf or is_optimizer or is_network else None


def _is_defined_in(target: Any, name: str, packages: Collection[str], base: type) -> bool:
    """Return whether one of `packages` itself defines `target`, a subclass of `base`, by this name."""
    return (
        isinstance(target, type)
        and issubclass(target, base)
        and any(f"{target.__module__}.".startswith(f"{package}.") for package in packages)
        and target.__qualname__ == name.rpartition(".")[2]
    )


def _check_arguments(target: Any, node: Mapping[str, Any], path: str, file: str | Path) -> None:
    """Check that a class of `conf/` gets no unnamed options, and paths and downloads only as in `conf/`."""
    in_conf = _conf().arguments.get(node[TARGET], {})
    names = _parameter_names(target)
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


def _parameter_names(target: Any) -> set[str]:
    """Return the names of all arguments that a function, or a class and its bases, define."""
    functions = [target]
    if isinstance(target, type):
        functions = [vars(base)["__init__"] for base in target.__mro__ if "__init__" in vars(base)]
    parameters = (one for function in functions for one in inspect.signature(function).parameters.values())
    return {one.name for one in parameters if one.kind not in _VARIADIC}


def _refusal(name: Any, trust_packages: Collection[str]) -> str:
    """Return why a name is refused, and what to do."""
    package = str(name).partition(".")[0]
    if any(str(name).startswith(f"{one}.") for one in trust_packages):
        return "but --trust-package allows only subclasses of torch.nn.Module that the package itself defines"
    is_known = package in {"torch", "cyclegan_audio", *sys.stdlib_module_names}
    if is_known or not package.isidentifier():
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


def _shown(value: Any) -> str:
    """Return a value of a file for a message: a name as it is, others `shortened`."""
    return str(value) if re.fullmatch(r"[\w.\-]{1,120}", str(value)) else shortened(value)
