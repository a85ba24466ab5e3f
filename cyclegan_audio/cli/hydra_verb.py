"""How a command that Hydra configures starts and fails."""

import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import hydra
from hydra.errors import CompactHydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cyclegan_audio.config.building import CONF_DIR
from cyclegan_audio.config.overrides import quote_values
from cyclegan_audio.errors import STOPPED, UserError

Job = Callable[[DictConfig], Any]


def hydra_main(
    config_name: str,
    before: Callable[[list[str]], list[str]] | None = None,
    verbatim: Collection[str] = (),
) -> Callable[[Job], Callable[[], None]]:
    """Decorate a job: Hydra reads the command line, a `UserError` is shown as one line with exit code 1.

    Args:
        config_name: the file in `conf/` that the command reads, without suffix.
        before: may rewrite the arguments (without the program's name) before Hydra sees them.
        verbatim: keys whose values are paths or names, taken as they are.
    """

    def decorate(job: Job) -> Callable[[], None]:
        @wraps(job)
        def command() -> None:
            arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
            debug = len(arguments) < len(sys.argv) - 1 or _env_is_set("HYDRA_FULL_ERROR")
            reporter = _Reporter(job, debug)

            @wraps(job)  # Hydra names the job after this function
            def reported(cfg: DictConfig) -> Any:
                return reporter.run(cfg)

            try:
                sys.argv[1:] = quote_values(before(arguments) if before else arguments, verbatim)
                with _environment("HYDRA_FULL_ERROR", "1"):  # have Hydra raise, so that this function reports
                    start = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
                    start(reported)()
            except KeyboardInterrupt:
                print("stopped", file=sys.stderr)
                sys.exit(STOPPED)
            except Exception as error:
                if not reporter.show(error):
                    raise
            if reporter.failed:
                sys.exit(1)

        return command

    return decorate


class _Reporter:
    """Runs a job, or the jobs of a sweep in turn, and shows what the user can mend in one line each."""

    def __init__(self, job: Job, debug: bool) -> None:
        self.job = job
        self.debug = debug
        self.started = False
        self.failed = False

    def run(self, cfg: DictConfig) -> Any:
        """The job's value; errors of the user are shown and remembered, so that a sweep's others run."""
        self.started = True
        try:
            return self.job(cfg)
        except Exception as error:
            if not self.show(error):
                raise
        return None

    def show(self, error: Exception) -> bool:
        """Print the user's error behind `error`; False where there is none."""
        message = _users_message(error)
        if message is None and isinstance(error, OSError) and not self.started:
            message = f"the run folder cannot be made ({error}); choose another"
        if message is None:
            return False
        if self.debug:
            traceback.print_exception(error)
        print(f"error: {message}", file=sys.stderr)
        self.failed = True
        return True


def _users_message(error: BaseException | None) -> str | None:
    """What a `UserError` or Hydra says about the command line at the bottom of `error`, else None."""
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__
    for link in chain:
        if isinstance(link, UserError):
            return str(link)
    for link in chain:
        if isinstance(link, CompactHydraException | OmegaConfBaseException) and len(chain) <= 2:
            return " ".join(str(link).split())
    return None


def _env_is_set(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


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
