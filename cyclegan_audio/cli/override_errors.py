"""Find the error in a command line for Hydra, and explain in one line how to correct it."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_audio.cli.conf_reader import list_choices, list_groups
from cyclegan_audio.cli.error_reporting import GroupHint
from cyclegan_audio.cli.options import extract_overrides
from cyclegan_audio.config import compose
from cyclegan_audio.config.overrides import MULTIRUN
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import PROGRAM, setting_names, suggest_name, suggest_setting
from cyclegan_audio.utils.paths import CONF_DIR

ConfigDict = dict[str, Any]
PLUGIN_EXTRAS = {  # the extra of this package that installs a launcher or sweeper of Hydra
    "joblib": "sweeps", "submitit_local": "sweeps", "submitit_slurm": "sweeps", "optuna": "sweeps",
    "ray": "ray",
}  # fmt: skip


def check_overrides(
    verb: str, arguments: Sequence[str], hints: Mapping[str, GroupHint] | None = None
) -> None:
    """Check that each override names a setting or a choice, and that something reads each added key.

    Args:
        verb: the command.
        arguments: arguments for Hydra.
        hints: for each group, an addition to the message about an unknown choice.

    Raises:
        UserError: names the first wrong override and, if one is similar, the correct name.
    """
    words = extract_overrides(arguments)
    if words is None:
        return  # the user's own configuration may have other choices and settings
    groups = {group.name for group in list_groups(verb)}
    overrides = [_parse(verb, word, groups) for word in words]
    is_sweep = any(argument in (*MULTIRUN, "hydra.mode=MULTIRUN") for argument in arguments)
    if sweeps := [one.input_line for one in overrides if one.is_sweep_override() and not is_sweep]:
        raise UserError(f"{sweeps[0]} names several values; add -m to run each of them")
    chosen: dict[str, str] = {}
    for override in (one for one in overrides if one.key_or_group in groups):
        for choice in _choices(override, words, hints or {}):
            chosen[override.key_or_group] = f"{override.key_or_group}={choice}"
    cfg = _compose(verb, list(chosen.values()))
    for override in overrides:
        if override.key_or_group not in groups and "/" not in override.key_or_group:
            _check_key(verb, cfg, override, groups)


def _compose(verb: str, choices: Sequence[str] = ()) -> ConfigDict:
    try:
        return OmegaConf.to_container(compose(verb, list(choices)), resolve=False)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(clean_message(error)) from error


def clean_message(error: BaseException) -> str:
    """Return a message of Hydra or OmegaConf in one line, without their internals."""
    lines = [line.strip() for line in str(error).splitlines()]
    internal = ("To append to your config", "Config search path", "See https", "full_key", "object_type")
    lines = [line for line in lines if line and not line.startswith((*internal, "provider="))]
    return _missing_plugin(str(error)) or " ".join(lines)


def _parse(verb: str, word: str, groups: Collection[str]) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        key, equals, _ = word.lstrip("+~").partition("=")
        known = [*setting_names(_compose(verb)), *groups]
        if key in known:
            advice = f"put its value in quotes: \"{key}='...'\"" if equals else f"write {key}=VALUE"
            raise UserError(f"cannot read the value of {key}; {advice}") from error
        by_choice = [group.name for group in list_groups(verb) if word in group.choices]
        hint = f"; did you mean {by_choice[0]}={word}?" if by_choice else suggest_setting(key, known)
        raise UserError(
            f"there is no setting {key}{hint or '; write NAME=VALUE or --NAME VALUE'}"
            f" ({PROGRAM} {verb} --help lists them)"
        ) from error


def _choices(override: Override, words: Sequence[str], hints: Mapping[str, GroupHint]) -> list[str]:
    """Return the choices of an override of a group; none if it deletes the group or Hydra looks them up.

    Raises:
        UserError: there is no such choice, or the override starts with `+`.
    """
    if _is_added(override):
        raise UserError(f"write {str(override.input_line).lstrip('+')}, without +")
    group, value = override.key_or_group, override.value()
    if override.is_sweep_override() and not isinstance(value, ChoiceSweep):  # such as glob(*)
        return []
    if override.is_delete() or value is None:
        return []
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    choices = [one.text if isinstance(one, QuotedString) else str(one) for one in values]
    for choice in choices:
        if not (CONF_DIR / group / f"{choice}.yaml").is_file():
            known = list_choices(group)
            hint = hints[group](words) if group in hints else ""
            raise UserError(
                f"there is no {group}={choice}{suggest_name(choice, known)}; "
                f"the choices are {', '.join(known)}{hint}"
            )
    return choices


def _check_key(verb: str, cfg: ConfigDict, override: Override, groups: set[str]) -> None:
    """Check that a key exists or, after `+`, that something would read it."""
    key = override.key_or_group
    if key.split(".")[0] == "hydra":
        return
    node, missing = _deepest_node(cfg, key.split("."))
    if not missing:
        return
    if not _is_added(override):
        hint = f"{suggest_setting(key, [*setting_names(cfg), *groups])} ({PROGRAM} {verb} --help lists them)"
        raise UserError(f"there is no setting {key}{hint}")
    known = _valid_keys(node)
    if known is not None and missing[0] not in known:
        near = get_close_matches(missing[0], known, n=1)
        parent = key.removesuffix(".".join(missing))
        hint = (
            f"; did you mean +{parent}{near[0]}?"
            if near
            else suggest_setting(key, [*setting_names(cfg), *groups])
        )
        raise UserError(f"nothing reads {override.input_line}{hint}")


def _deepest_node(cfg: ConfigDict, parts: Sequence[str]) -> tuple[ConfigDict, list[str]]:
    """Return the deepest existing mapping along a dotted key, and the parts of the key that are missing."""
    node = cfg
    for index, part in enumerate(parts):
        if part not in node:
            return node, list(parts[index:])
        child = node[part]
        while isinstance(child, str) and child.startswith("${") and child[2:-1] in cfg:  # it copies a group
            child = cfg[child[2:-1]]
        if not isinstance(child, dict):
            return node, list(parts[index + 1 :])
        node = child
    return node, []


def _valid_keys(node: ConfigDict) -> list[str] | None:
    """Return the keys that may be added to a mapping, the parameters of its class; None if any may."""
    if "_target_" not in node:  # an empty mapping, or objects by names that the user chooses
        accepts_any = all(isinstance(child, dict) and "_target_" in child for child in node.values())
        return None if accepts_any else []
    parameters = inspect.signature(get_object(node["_target_"])).parameters
    return None if any(one.kind is one.VAR_KEYWORD for one in parameters.values()) else list(parameters)


def _is_added(override: Override) -> bool:
    return override.is_add() or override.is_force_add()


def _missing_plugin(message: str) -> str:
    """Return how to install the launcher or sweeper that Hydra's message misses, or ""."""
    for kind in ("launcher", "sweeper"):
        name = message.partition(f"hydra/{kind}/")[2].partition("'")[0]
        if extra := PLUGIN_EXTRAS.get(name):
            return f"the {kind} {name} is not installed; run pip install 'cyclegan-audio[{extra}]'"
    return ""
