"""Start functions in processes that were forked from a process in which nothing has run yet.

A fork of the test's own process cannot train: PyTorch does not differentiate in the fork of a process that
has done so.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["cyclegan_audio.training.runner", "cyclegan_audio.reports.evaluation.evaluate"]
)


def start_clean_process(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a function of a module, with the environment and the working directory of this process."""
    process = CONTEXT.Process(target=_call, args=(target, arguments, dict(os.environ), os.getcwd()))
    process.start()
    return process


def _call(
    target: Callable[..., object], arguments: tuple[object, ...], environment: Mapping[str, str], folder: str
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    target(*arguments)
