"""Finds what is wrong with a command line of Hydra's, and says in one line how to mend it."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cyclegan_audio.cli.conf_reader import choices_of, groups_of
from cyclegan_audio.cli.option_syntax import overrides_among
from cyclegan_audio.config import compose
from cyclegan_audio.config.overrides import MULTIRUN
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import PROGRAM
from cyclegan_audio.utils.name_matching import near_name, setting_names, suggest_setting
from cyclegan_audio.utils.paths import CONF_DIR

Plain = dict[str, Any]
Hint = Callable[[Sequence[str]], str]  # from the overrides to what a message about a group adds
EXTRAS = {  # which extra of the package brings a launcher or a sweeper of Hydra's
    "joblib": "sweeps", "submitit_local": "sweeps", "submitit_slurm": "sweeps", "optuna": "sweeps",
    "ray": "ray",
}  # fmt: skip


def check_overrides(verb: str, arguments: Sequence[str], hints: Mapping[str, Hint] | None = None) -> None:
    """Refuse the first override that names no setting, no choice, or adds a key that nothing reads.

    Args:
        verb: the command.
        arguments: as Hydra would take them.
        hints: what messages about an unknown choice add, by group.

    Raises:
        UserError: says which, and what was meant perhaps.
    """
    words = overrides_among(arguments)
    if words is None:
        return  # which choices and settings there are is then Hydra's to say
    groups = {group.name for group in groups_of(verb)}
    overrides = [_parsed(verb, word, groups) for word in words]
    is_sweep = any(argument in (*MULTIRUN, "hydra.mode=MULTIRUN") for argument in arguments)
    if several := [one.input_line for one in overrides if one.is_sweep_override() and not is_sweep]:
        raise UserError(f"{several[0]} names several values; add -m to run each of them")
    chosen: dict[str, str] = {}
    for override in (one for one in overrides if one.key_or_group in groups):
        for value in _choices(override, words, hints or {}):
            chosen[override.key_or_group] = f"{override.key_or_group}={value}"
    cfg = _composed(verb, list(chosen.values()))
    for override in overrides:
        if override.key_or_group not in groups and "/" not in override.key_or_group:
            _check_key(verb, cfg, override, groups)


def _composed(verb: str, choices: Sequence[str] = ()) -> Plain:
    try:
        return OmegaConf.to_container(compose(verb, list(choices)), resolve=False)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(plain_message(error)) from error


def plain_message(error: BaseException) -> str:
    """Say in one line what Hydra or OmegaConf says, without their internals."""
    lines = [line.strip() for line in str(error).splitlines()]
    internal = ("To append to your config", "Config search path", "See https", "full_key", "object_type")
    kept = [line for line in lines if line and not line.startswith((*internal, "provider="))]
    return _plugin_message(str(error)) or " ".join(kept)


def _parsed(verb: str, word: str, groups: Collection[str]) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        key, equals, _ = word.lstrip("+~").partition("=")
        known = [*setting_names(_composed(verb)), *groups]
        if key in known:
            how = f"put its value in quotes: \"{key}='...'\"" if equals else f"write {key}=VALUE"
            raise UserError(f"the value of {key} cannot be read; {how}") from error
        by_choice = [group.name for group in groups_of(verb) if word in group.choices]
        hint = f"; did you mean {by_choice[0]}={word}?" if by_choice else suggest_setting(key, known)
        raise UserError(
            f"there is no setting {key}{hint or '; write NAME=VALUE or --NAME VALUE'}"
            f" ({PROGRAM} {verb} --help lists them)"
        ) from error


def _choices(override: Override, words: Sequence[str], hints: Mapping[str, Hint]) -> list[str]:
    """The choices that an override makes in its group; none where it deletes it, or Hydra looks them up.

    Raises:
        UserError: there is no such choice, or `+` stands before it.
    """
    if _is_added(override):
        raise UserError(f"write {str(override.input_line).lstrip('+')}, without +")
    group, value = override.key_or_group, override.value()
    if override.is_sweep_override() and not isinstance(value, ChoiceSweep):  # such as glob(*)
        return []
    if override.is_delete() or value is None:
        return []
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    wanted = [one.text if isinstance(one, QuotedString) else str(one) for one in values]
    for one in wanted:
        if not (CONF_DIR / group / f"{one}.yaml").is_file():
            there = choices_of(group)
            hint = hints[group](words) if group in hints else ""
            raise UserError(
                f"there is no {group}={one}{near_name(one, there)}; the choices are {', '.join(there)}{hint}"
            )
    return wanted


def _check_key(verb: str, cfg: Plain, override: Override, groups: set[str]) -> None:
    """Refuse a key that is not there or, with `+`, that nothing would read."""
    key = override.key_or_group
    if key.split(".")[0] == "hydra":
        return
    node, missing = _deepest(cfg, key.split("."))
    if not missing:
        return
    if not _is_added(override):
        hint = f"{suggest_setting(key, [*setting_names(cfg), *groups])} ({PROGRAM} {verb} --help lists them)"
        raise UserError(f"there is no setting {key}{hint}")
    known = _readable(node)
    if known is not None and missing[0] not in known:
        near = get_close_matches(missing[0], known, n=1)
        above = key.removesuffix(".".join(missing))
        hint = (
            f"; did you mean +{above}{near[0]}?"
            if near
            else suggest_setting(key, [*setting_names(cfg), *groups])
        )
        raise UserError(f"nothing reads {override.input_line}{hint}")


def _deepest(cfg: Plain, parts: Sequence[str]) -> tuple[Plain, list[str]]:
    """The deepest mapping that is there on the way to a key, and what is left of the way."""
    node = cfg
    for place, part in enumerate(parts):
        if part not in node:
            return node, list(parts[place:])
        inner = node[part]
        while isinstance(inner, str) and inner.startswith("${") and inner[2:-1] in cfg:  # it follows a group
            inner = cfg[inner[2:-1]]
        if not isinstance(inner, dict):
            return node, list(parts[place + 1 :])
        node = inner
    return node, []


def _readable(node: Plain) -> list[str] | None:
    """The keys that may be added to a mapping: what is built of it takes these; None where any may."""
    if "_target_" not in node:  # empty, or of things to build: these take whatever a user names
        takes_any = all(isinstance(child, dict) and "_target_" in child for child in node.values())
        return None if takes_any else []
    parameters = inspect.signature(get_object(node["_target_"])).parameters
    return None if any(one.kind is one.VAR_KEYWORD for one in parameters.values()) else list(parameters)


def _is_added(override: Override) -> bool:
    return override.is_add() or override.is_force_add()


def _plugin_message(said: str) -> str:
    """What to install, where `said` is Hydra's complaint that it lacks a launcher or a sweeper."""
    for kind in ("launcher", "sweeper"):
        name = said.partition(f"hydra/{kind}/")[2].partition("'")[0]
        if extra := EXTRAS.get(name):
            return f"the {kind} {name} is not installed; pip install 'cyclegan-audio[{extra}]' brings it"
    return ""
