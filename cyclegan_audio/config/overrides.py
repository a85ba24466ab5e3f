"""Overrides of the command line: quote literal values, and apply changes to a saved configuration."""

import re
from collections.abc import Collection, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.hints import setting_names, suggest_setting
from cyclegan_audio.utils.paths import CONF_DIR

MULTIRUN = ("-m", "--multirun")
_HYDRA_VALUES = ("", "null", "???")
_SWEEP = re.compile(r"\w+\(.*\)$")


def quote_values(arguments: Sequence[str], keys: Collection[str]) -> list[str]:
    """Quote the values of `keys` in `KEY=VALUE`, so that Hydra does not parse brackets or commas in them.

    Quoted values, `null`, interpolations (`${...}`) and, in a multirun, lists and sweeps such as
    `choice(a, b)` stay as they are.

    Args:
        arguments: arguments of the command line.
        keys: settings whose values are paths or names.
    """
    is_sweep = any(argument in MULTIRUN for argument in arguments)
    return [_quote(argument, keys, is_sweep) for argument in arguments]


def _quote(argument: str, keys: Collection[str], is_sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    if is_sweep and ("," in value or _SWEEP.match(value)):
        return argument
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if key not in keys or not equals or value in _HYDRA_VALUES or "${" in value or is_quoted:
        return argument
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def apply_overrides(saved: DictConfig, overrides: Sequence[str], groups: Collection[str]) -> None:
    """Apply `overrides` to the configuration of an earlier run, in place.

    Args:
        saved: the configuration of the run, with interpolations.
        overrides: single values (`n_epochs=50`), or a choice of one of `groups` (`logger=none`).
        groups: groups of `conf/` that may change.

    Raises:
        UserError: another group would change, or the run has no such setting.
    """
    OmegaConf.set_struct(saved, True)
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            _apply(saved, override, groups)
    except (OmegaConfBaseException, HydraException) as error:
        message = " ".join(str(error).split())
        raise UserError(f"with resume= change only settings of the run ({message})") from error


def overridden_keys(overrides: Sequence[str]) -> list[str]:
    """List the settings and groups that `overrides` give; none if one cannot be parsed."""
    try:
        return [one.key_or_group for one in OverridesParser.create().parse_overrides(list(overrides))]
    except HydraException:
        return []


def _apply(saved: DictConfig, override: Override, groups: Collection[str]) -> None:
    key = override.key_or_group
    if override.is_delete() or override.is_sweep_override():
        raise UserError(f"with resume= give one value for {key}, got {override.input_line}")
    if not (CONF_DIR / key).is_dir():
        try:
            OmegaConf.update(saved, key, override.value(), merge=False, force_add=override.is_add())
        except (ConfigKeyError, ConfigAttributeError) as error:
            names = list(setting_names(OmegaConf.to_container(saved, resolve=False)))  # type: ignore[arg-type]
            raise UserError(
                f"the run has no setting {key}{suggest_setting(key, names)}; "
                "with resume= change only settings of the run"
            ) from error
        return
    choice = CONF_DIR / key / f"{override.value()}.yaml"
    if key not in groups:
        raise UserError(
            f"{override.input_line} changes a group; with resume= change single settings, such as n_epochs=50"
        )
    if not choice.is_file():
        raise UserError(f"there is no {override.input_line}; choose one of {', '.join(_choices(key))}")
    OmegaConf.set_struct(saved, False)
    saved[key] = OmegaConf.load(choice)
    OmegaConf.set_struct(saved, True)


def _choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
