"""How a command that Hydra configures starts and fails."""

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from cyclegan_audio.cli.conf_reader import settings_of
from cyclegan_audio.cli.error_reporting import DEBUG, handle_user_errors, report, shows_traces
from cyclegan_audio.cli.hydra_help import Help, help_text
from cyclegan_audio.cli.lazy_help import lazy_help_allowed
from cyclegan_audio.cli.option_syntax import to_overrides
from cyclegan_audio.cli.verbs import version
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.paths import CONF_DIR

if TYPE_CHECKING:
    from omegaconf import DictConfig

Job = Callable[["DictConfig"], Any]
Hint = Callable[[Sequence[str]], str]


def hydra_main(
    verb: str,
    about: Help,
    *,
    before: Callable[[list[str]], list[str]] | None = None,
    verbatim: Collection[str] = (),
    hints: Mapping[str, Hint] | None = None,
) -> Callable[[Job], Callable[[], None]]:
    """Decorate a job: Hydra reads the command line, a `UserError` is shown as one line with exit code 1.

    Hydra itself is imported when the job starts: help needs none of it.

    Args:
        verb: the command, and its file in `conf/`.
        about: what its help shows beside the comments in `conf/`.
        before: may rewrite the arguments (without the program's name) before Hydra sees them.
        verbatim: keys whose values are paths or names, taken as they are.
        hints: by group, what the message about an unknown choice adds.
    """

    def decorate(job: Job) -> Callable[[], None]:
        @wraps(job)
        def command() -> None:
            arguments = sys.argv[1:]
            with handle_user_errors():
                if any(argument in ("-h", "--help") for argument in arguments):
                    print(help_text(verb, about))
                elif "--version" in arguments:
                    print(version())
                else:
                    _Start(verb, job, before, verbatim, hints or {}).run(arguments)

        return command

    return decorate


class _Start:
    """One call of a command: runs its job, or the jobs of a sweep, and shows errors in a line each."""

    def __init__(
        self,
        verb: str,
        job: Job,
        before: Callable[[list[str]], list[str]] | None,
        verbatim: Collection[str],
        hints: Mapping[str, Hint],
    ) -> None:
        self.verb = verb
        self.job = job
        self.before = before
        self.verbatim = verbatim
        self.hints = hints
        self.arguments: list[str] = []
        self.debug = False
        self.started = False
        self.failed = False

    def run(self, arguments: Sequence[str]) -> None:
        """Start Hydra with these arguments; exit with 1 after a `UserError`."""
        self.debug = "--debug" in arguments or shows_traces()
        try:
            self._run([argument for argument in arguments if argument != "--debug"])
        except Exception as error:
            if not self._show(error):
                raise
        if self.failed:
            sys.exit(1)

    def _run(self, arguments: list[str]) -> None:
        switches = [one.name for one in settings_of(CONF_DIR / f"{self.verb}.yaml") if one.is_switch]
        arguments = to_overrides(arguments, switches)
        _check_switches(arguments, [name for name in switches if "." not in name])
        arguments = self.before(arguments) if self.before else arguments
        import hydra

        from cyclegan_audio.cli.override_errors import check_overrides
        from cyclegan_audio.config.overrides import MULTIRUN, quote_values

        self.arguments = quote_values(arguments, self.verbatim)
        if any(argument.startswith("+") or argument in MULTIRUN for argument in self.arguments):
            # Hydra takes any `+`, and makes a sweep's folder before it finds a mistake
            check_overrides(self.verb, self.arguments, self.hints)

        @wraps(self.job)  # Hydra names the job after this function
        def reported(cfg: "DictConfig") -> Any:
            return self._job(cfg)

        sys.argv[1:] = self.arguments
        with lazy_help_allowed(), _environment(DEBUG, "1"):  # Hydra raises, this class reports
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=self.verb)(reported)()

    def _job(self, cfg: "DictConfig") -> Any:
        """The job's value; errors of the user are shown and remembered, so that a sweep's others run."""
        self.started = True
        try:
            return self.job(cfg)
        except Exception as error:
            if not self._show(error):
                raise
        return None

    def _show(self, error: Exception) -> bool:
        """Print the user's error behind `error`; False where there is none."""
        message = self._message(error)
        if message is None:
            return False
        report(error, message, self.debug)
        self.failed = True
        return True

    def _message(self, error: Exception) -> str | None:
        """What a `UserError` at the bottom of `error` says, or what is wrong with the command line."""
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        for link in chain:
            if isinstance(link, UserError):
                return str(link)
        message = self._mistake(chain)
        if message is None and isinstance(error, OSError) and not self.started:
            message = f"the run folder cannot be made ({error}); choose another"
        return message

    def _mistake(self, chain: Sequence[BaseException]) -> str | None:
        from hydra.errors import CompactHydraException
        from omegaconf.errors import OmegaConfBaseException

        from cyclegan_audio.cli.override_errors import check_overrides, plain_message

        hydras = [link for link in chain if isinstance(link, CompactHydraException | OmegaConfBaseException)]
        if not hydras or len(chain) > 2:
            return None
        if not self.started:
            try:
                check_overrides(self.verb, self.arguments, self.hints)
            except UserError as found:
                return str(found)
        return plain_message(hydras[0])


def _check_switches(arguments: Sequence[str], switches: Collection[str]) -> None:
    """Refuse a word in place of true or false, which would count as true."""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        values = value.lower().split(",")
        if equals and name in switches and not {"true", "false"}.issuperset(values) and "${" not in value:
            raise UserError(f"{argument}: {name} is either true or false")


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
