"""Overrides of the command line: paths taken verbatim, and changes to the configuration of an earlier run."""

import re
from collections.abc import Collection, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.name_matching import setting_names, suggest_setting
from cyclegan_audio.utils.paths import CONF_DIR

MULTIRUN = ("-m", "--multirun")
_HYDRAS_OWN = ("", "null", "???")
_SWEEP = re.compile(r"\w+\(.*\)$")


def quote_values(arguments: Sequence[str], keys: Collection[str]) -> list[str]:
    """Quote the values of `keys` in `KEY=VALUE`: brackets, commas and signs in names are no grammar.

    What is quoted already, `null`, an interpolation (`${...}`) and, in a multirun, lists and sweeps such as
    `choice(a, b)` stay as they are.
    """
    is_sweep = any(argument in MULTIRUN for argument in arguments)
    return [_quoted(argument, keys, is_sweep) for argument in arguments]


def _quoted(argument: str, keys: Collection[str], is_sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    if is_sweep and ("," in value or _SWEEP.match(value)):
        return argument
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if key not in keys or not equals or value in _HYDRAS_OWN or "${" in value or is_quoted:
        return argument
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def apply_overrides(saved: DictConfig, overrides: Sequence[str], groups: Collection[str]) -> None:
    """Apply the command line's `overrides` to the configuration of an earlier run, in place.

    Args:
        saved: composed before, interpolations not resolved.
        overrides: single values (`n_epochs=50`), or a choice in one of `groups` (`logger=none`).
        groups: groups of `conf/` that may be chosen anew.

    Raises:
        UserError: another group is chosen anew, or the run has no such value.
    """
    OmegaConf.set_struct(saved, True)
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            _apply(saved, override, groups)
    except (OmegaConfBaseException, HydraException) as error:
        said = " ".join(str(error).split())
        raise UserError(f"with resume= only values that the run has can be changed ({said})") from error


def _apply(saved: DictConfig, override: Override, groups: Collection[str]) -> None:
    key = override.key_or_group
    if override.is_delete() or override.is_sweep_override():
        raise UserError(f"{override.input_line}: with resume= name one value for {key}")
    if not (CONF_DIR / key).is_dir():
        try:
            OmegaConf.update(saved, key, override.value(), merge=False, force_add=override.is_add())
        except (ConfigKeyError, ConfigAttributeError) as error:
            names = list(setting_names(OmegaConf.to_container(saved, resolve=False)))  # type: ignore[arg-type]
            raise UserError(
                f"the run has no setting {key}{suggest_setting(key, names)}; "
                "with resume= only values that it has can be changed"
            ) from error
        return
    choice = CONF_DIR / key / f"{override.value()}.yaml"
    if key not in groups:
        raise UserError(
            f"{override.input_line} names a whole group; with resume= change single values, as n_epochs=50"
        )
    if not choice.is_file():
        raise UserError(f"there is no {override.input_line}; choose one of {', '.join(_choices(key))}")
    OmegaConf.set_struct(saved, False)
    saved[key] = OmegaConf.load(choice)
    OmegaConf.set_struct(saved, True)


def _choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
