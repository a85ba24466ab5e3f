"""Run a command that Hydra configures, alone or as jobs of a sweep, and report each error in one line."""

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from cyclegan_audio.cli.conf_reader import list_settings
from cyclegan_audio.cli.error_reporting import (
    DEBUG_VARIABLE,
    GroupHint,
    handle_user_errors,
    is_debug,
    report_error,
    user_message,
)
from cyclegan_audio.cli.hydra_help import HelpExtras, help_text
from cyclegan_audio.cli.options import to_overrides
from cyclegan_audio.cli.verbs import version
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE, UserError
from cyclegan_audio.utils.paths import CONF_DIR

if TYPE_CHECKING:
    from omegaconf import DictConfig

TaskFunction = Callable[["DictConfig"], Any]


def hydra_main(
    verb: str,
    extras: HelpExtras,
    *,
    preprocess: Callable[[list[str]], list[str]] | None = None,
    literal_keys: Collection[str] = (),
    hints: Mapping[str, GroupHint] | None = None,
) -> Callable[[TaskFunction], Callable[[], None]]:
    """Decorate a task: Hydra reads the command line; a user's error becomes one line and exit code 2.

    Hydra is imported only when the task starts, so that help is fast.

    Args:
        verb: the command, and the name of its file in `conf/`.
        extras: help texts in addition to the comments in `conf/`.
        preprocess: changes the arguments (without the program's name) before Hydra sees them.
        literal_keys: keys whose values are paths or names without Hydra's grammar.
        hints: for each group, an addition to the message about an unknown choice.
    """

    def decorate(task: TaskFunction) -> Callable[[], None]:
        @wraps(task)
        def command() -> None:
            arguments = sys.argv[1:]
            with handle_user_errors(verb):
                if any(argument in ("-h", "--help") for argument in arguments):
                    print(help_text(verb, extras))
                elif "--version" in arguments:
                    print(version())
                else:
                    _CommandRun(verb, task, preprocess, literal_keys, hints or {}).run(arguments)

        return command

    return decorate


class _CommandRun:
    """One call of a command, which runs its task once, or once for each job of a sweep."""

    def __init__(
        self,
        verb: str,
        task: TaskFunction,
        preprocess: Callable[[list[str]], list[str]] | None,
        literal_keys: Collection[str],
        hints: Mapping[str, GroupHint],
    ) -> None:
        self.verb = verb
        self.task = task
        self.preprocess = preprocess
        self.literal_keys = literal_keys
        self.hints = hints
        self.overrides: list[str] = []
        self.debug = False
        self.started = False
        self.failed = False

    def run(self, arguments: Sequence[str]) -> None:
        """Start Hydra with these arguments; exit with code 2 after a user's error."""
        self.debug = "--debug" in arguments or is_debug()
        try:
            self._start_hydra([argument for argument in arguments if argument != "--debug"])
        except Exception as error:
            if not self._report(error):
                raise
        if self.failed:
            sys.exit(USER_ERROR_EXIT_CODE)

    def _start_hydra(self, arguments: list[str]) -> None:
        flags = [
            setting.name for setting in list_settings(CONF_DIR / f"{self.verb}.yaml") if setting.is_boolean
        ]
        overrides = to_overrides(arguments, flags)
        _check_flags(overrides, [name for name in flags if "." not in name])
        overrides = self.preprocess(overrides) if self.preprocess else overrides
        import hydra

        from cyclegan_audio.cli.override_errors import check_overrides
        from cyclegan_audio.config.overrides import MULTIRUN, quote_values

        self.overrides = quote_values(overrides, self.literal_keys)
        if any(override.startswith("+") or override in MULTIRUN for override in self.overrides):
            # Hydra accepts any `+`, and creates a sweep's folder before it notices an error.
            check_overrides(self.verb, self.overrides, self.hints)

        @wraps(self.task)  # Hydra names the job after this function
        def run_task(cfg: "DictConfig") -> Any:
            return self._run_task(cfg)

        sys.argv[1:] = self.overrides
        with allow_lazy_help(), _environment(DEBUG_VARIABLE, "1"):  # Hydra raises, this class reports
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=self.verb)(run_task)()

    def _run_task(self, cfg: "DictConfig") -> Any:
        """Return the task's result; report a user's error and return None, so that other jobs run."""
        self.started = True
        try:
            return self.task(cfg)
        except Exception as error:
            if not self._report(error):
                raise
        return None

    def _report(self, error: Exception) -> bool:
        """Print the user's error behind `error`; return False if there is none."""
        message = self._message(error)
        if message is None:
            return False
        report_error(error, message, self.debug)
        self.failed = True
        return True

    def _message(self, error: Exception) -> str | None:
        """Return the `user_message` of `error`, or that of an error in the command line."""
        message = user_message(error, self.verb) or self._override_error(error)
        if message is None and isinstance(error, OSError) and not self.started:
            message = f"cannot create the run folder ({error}); choose another"
        return message

    def _override_error(self, error: Exception) -> str | None:
        from hydra.errors import CompactHydraException
        from omegaconf.errors import OmegaConfBaseException

        from cyclegan_audio.cli.override_errors import check_overrides, clean_message

        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        errors = [link for link in chain if isinstance(link, CompactHydraException | OmegaConfBaseException)]
        if not errors or len(chain) > 2:
            return None
        if not self.started:
            try:
                check_overrides(self.verb, self.overrides, self.hints)
            except UserError as error:
                return str(error)
        return clean_message(errors[0])


def _check_flags(overrides: Sequence[str], flags: Collection[str]) -> None:
    """Check that boolean settings get true or false; Hydra would read any other word as true."""
    for override in overrides:
        name, equals, value = override.partition("=")
        values = value.lower().split(",")
        if equals and name in flags and not {"true", "false"}.issuperset(values) and "${" not in value:
            raise UserError(f"{name} must be true or false, got {value!r}")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def allow_lazy_help() -> Iterator[None]:
    """Let argparse accept help texts that are not strings, for Hydra 1.3 on Python 3.14.

    Since Python 3.14 `add_argument` formats each help text to check it. That fails on the object that Hydra
    passes for `--shell-completion` (Hydra's issue 3121). Help texts that are strings are still checked.
    """
    if sys.version_info < (3, 14):
        yield
        return
    container: Any = argparse._ActionsContainer
    check_help = container._check_help

    def check_strings(self: Any, action: argparse.Action) -> None:
        if isinstance(action.help, str):
            check_help(self, action)

    container._check_help = check_strings
    try:
        yield
    finally:
        container._check_help = check_help
