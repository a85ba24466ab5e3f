"""One way to write options for all commands: `--name value` and `name=value` mean the same in each."""

import os
from collections.abc import Collection, Iterator, Sequence

from cyclegan_audio.utils.errors import UserError

_FLAGS = ("hydra-help", "multirun", "resolve", "run", "shell-completion", "version")  # Hydra's own
_WITH_VALUE = ("cfg", "config-dir", "config-name", "config-path", "experimental-rerun", "info", "package")
_SHORT = ("-c", "-cd", "-cn", "-cp", "-i", "-m", "-p", "-r", "-sc")
_SHORT_WITH_VALUE = ("-c", "-cd", "-cn", "-cp", "-i", "-p")
_OWN_CONFIGURATION = ("--config", "-cd", "-cn", "-cp")
_MODES = ("-m", "--multirun", "-r", "--run", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion")
_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def to_overrides(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """Turn `--name value`, `--name=value`, `--switch` and `--no-switch` into Hydra's `name=value`.

    Hydra's own options (`--cfg job`, `-m`) and everything without leading dashes stay as they are. Dashes
    within a name stand for underscores. An option that lacks its value is left as its bare name.

    Args:
        arguments: of the command line.
        switches: names of settings that are true or false, which need no value.

    Raises:
        UserError: an unknown option of one dash, or one of Hydra's with a wrong value, or two of them that
            exclude each other.
    """
    overrides: list[str] = []
    words = list(arguments)
    modes = [word.partition("=")[0] for word in words if word.partition("=")[0] in _MODES]
    if len(modes) > 1:
        raise UserError(f"{modes[0]} and {modes[1]} do not go together; leave one of them out")
    while words:
        word = words.pop(0)
        option, equals, value = word.removeprefix("--").partition("=")
        name = option.replace("-", "_")
        if not word.startswith("--") or not name or option in (*_FLAGS, *_WITH_VALUE):
            _check_hydras(word, words)
            overrides.append(word)
        elif equals:
            overrides.append(f"{name}={value}")
        elif name in switches:
            is_told = words and words[0].lower() in ("true", "false")
            overrides.append(f"{name}={words.pop(0).lower() if is_told else 'true'}")
        elif name.removeprefix("no_") in switches:
            overrides.append(f"{name.removeprefix('no_')}=false")
        elif words and not words[0].startswith("--"):
            overrides.append(f"{name}={words.pop(0)}")
        else:
            overrides.append(name)
    return overrides


def _check_hydras(word: str, following: Sequence[str]) -> None:
    """Refuse what Hydra's parser would answer with its usage."""
    option, equals, value = word.removeprefix("--").partition("=")
    if word.startswith("-") and not word.startswith("--") and word not in _SHORT:
        raise UserError(f"there is no option {word}; write NAME=VALUE or --NAME VALUE")
    if word.startswith("--") and option in _FLAGS and equals:
        raise UserError(f"--{option} takes no value; write it alone")
    if word in ("-c", "--cfg") or (word.startswith("--") and option == "cfg"):
        value = value if equals else next(iter(following), "")
        if value not in _CFG:
            raise UserError(f"--cfg needs one of {', '.join(_CFG)}; write --cfg job")


def overrides_among(arguments: Sequence[str]) -> list[str] | None:
    """Return the arguments that are overrides; None where an option brings configuration of the user's own.

    Args:
        arguments: as Hydra takes them.
    """
    found, words = [], list(arguments)
    while words:
        word = words.pop(0)
        if word.startswith((*_OWN_CONFIGURATION, "hydra.searchpath")):
            return None
        if not word.startswith("-"):
            found.append(word)
        elif word in _SHORT_WITH_VALUE or word.removeprefix("--") in _WITH_VALUE:
            is_told = words and (word not in ("--info", "-i") or words[0] in _INFO)
            del words[: bool(is_told)]
    return [word for word in found if word]


def to_options(arguments: Sequence[str], names: Collection[str], switches: Collection[str]) -> list[str]:
    """Turn `name=value` into `--name=value` where `name` is an option and there is no file `name=value`.

    Args:
        arguments: of the command line.
        names: of the command's options, without leading dashes, with underscores.
        switches: those that take no value; `name=true` sets one, `name=false` leaves it out.

    Raises:
        UserError: a switch is given another value.
    """
    return list(_options(arguments, names, switches))


def _options(arguments: Sequence[str], names: Collection[str], switches: Collection[str]) -> Iterator[str]:
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            yield from (word, *words)
            return
        option, equals, value = word.removeprefix("--").partition("=")
        name = option.replace("-", "_")
        is_off = word.startswith("--no-") and name.removeprefix("no_") in switches
        is_path = not word.startswith("--") and os.path.exists(word)
        if not is_off and (name not in names or is_path or not (equals or word.startswith("--"))):
            yield word
            continue
        flag = f"--{name.replace('_', '-')}"
        if name in switches and not equals and words and words[0].lower() in ("true", "false"):
            equals, value = "=", words.pop(0)
        if equals and name in switches:
            if value.lower() not in ("true", "false"):
                raise UserError(f"{word}: {name} is either true or false")
            is_off = value.lower() == "false"
            equals = ""
        if not is_off:
            yield f"{flag}={value}" if equals else flag
