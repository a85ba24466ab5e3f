"""One way to write options for all commands: `--name value` and `name=value` mean the same in each."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cyclegan_audio.errors import UserError

HYDRA_OPTIONS = (
    "cfg", "config-dir", "config-name", "config-path", "experimental-rerun", "hydra-help", "info", "multirun",
    "package", "resolve", "run", "shell-completion", "version",
)  # fmt: skip


def to_overrides(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """Turn `--name value`, `--name=value`, `--switch` and `--no-switch` into Hydra's `name=value`.

    Hydra's own options (`--cfg job`, `-m`) and everything without leading dashes stay as they are. Dashes
    within a name stand for underscores.

    Args:
        arguments: of the command line.
        switches: names of settings that are true or false, which need no value.

    Raises:
        UserError: an option lacks its value.
    """
    return list(_overrides(iter(arguments), switches))


def _overrides(remaining: Iterator[str], switches: Collection[str]) -> Iterator[str]:
    for argument in remaining:
        option, equals, value = argument.removeprefix("--").partition("=")
        name = option.replace("-", "_")
        if not argument.startswith("--") or option in HYDRA_OPTIONS or not name:
            yield argument
        elif equals:
            yield f"{name}={value}"
        elif name in switches:
            yield f"{name}=true"
        elif name.removeprefix("no_") in switches:
            yield f"{name.removeprefix('no_')}=false"
        else:
            value = next(remaining, "")
            if not value:
                raise UserError(f"{argument} needs a value; write {argument} VALUE or {name}=VALUE")
            yield f"{name}={value}"


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
    for argument in arguments:
        option, equals, value = argument.removeprefix("--").partition("=")
        name = option.replace("-", "_")
        flag = f"--{name.replace('_', '-')}"
        is_path = not argument.startswith("--") and Path(argument).exists()
        if name not in names or is_path or not (equals or argument.startswith("--")):
            yield argument
        elif equals and name in switches:
            if value.lower() not in ("true", "false"):
                raise UserError(f"{argument}: {name} is either true or false")
            if value.lower() == "true":
                yield flag
        else:
            yield f"{flag}={value}" if equals else flag
