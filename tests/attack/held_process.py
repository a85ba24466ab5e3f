"""Hold a forked process in the middle of an action, to kill it there or to work beside it."""

import multiprocessing
from collections.abc import Callable
from types import ModuleType


class HeldProcess:
    """A forked process that stops in the middle of an action until it is released.

    Args:
        action: what the process does.
        owner: module with the function before which it stops.
        name: the name of that function.
    """

    def __init__(self, action: Callable[[], object], owner: ModuleType, name: str) -> None:
        context = multiprocessing.get_context("fork")
        self.is_held, self.may_go = context.Event(), context.Event()
        self.process = context.Process(target=self._run, args=(action, owner, name))
        self.process.start()

    def _run(self, action: Callable[[], object], owner: ModuleType, name: str) -> None:
        real = getattr(owner, name)

        def wait_and_call(*arguments: object, **options: object) -> object:
            self.is_held.set()
            self.may_go.wait(120)
            return real(*arguments, **options)

        setattr(owner, name, wait_and_call)
        action()

    def hold(self) -> None:
        """Wait until the process is in the middle of its action."""
        assert self.is_held.wait(60)

    def release(self) -> None:
        """Let the process end."""
        self.may_go.set()
        self.process.join(60)
        assert self.process.exitcode == 0
