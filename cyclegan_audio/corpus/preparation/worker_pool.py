"""Process source files in parallel processes; a crash of a decoder loses no other file."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import torch

from cyclegan_audio.corpus.preparation.track_processor import HashedFile, TrackProcessor
from cyclegan_audio.corpus.sources import SourceFile
from cyclegan_audio.corpus.track_files import TrackRecord
from cyclegan_audio.utils.progress import with_progress

CRASHED = "decoder crashed"
KILLED = "process killed, probably for lack of memory"
_PARENT_POLL_S = 1.0


def hash_files(
    processor: TrackProcessor, files: Sequence[SourceFile], workers: int | None
) -> list[HashedFile]:
    """Hash all files, in their order."""
    with ThreadPoolExecutor(workers or n_cores()) as threads:  # hashing releases the interpreter lock
        hashed = threads.map(processor.hash, files)
        return list(with_progress(hashed, "checking files", len(files), "files"))


def process_tracks(
    processor: TrackProcessor, files: Sequence[HashedFile], with_audio: bool, workers: int | None
) -> list[TrackRecord]:
    """Process the files that are not complete yet; return all records in the order of the files."""
    with ThreadPoolExecutor(workers or n_cores()) as threads:
        cached = list(threads.map(lambda file: processor.load_cached(file, with_audio), files))
    missing = [file for file, record in zip(files, cached, strict=True) if record is None]
    if not missing:
        return [record for record in cached if record is not None]
    n_workers = min(workers or n_cores(), len(missing))
    if n_workers > 1:
        new_records = _ProcessPool(processor, missing, with_audio, n_workers).results()
    else:
        new_records = _process_serially(processor, missing, with_audio)
    records = iter(list(with_progress(new_records, "preparing", len(missing), "files")))
    return [next(records) if record is None else record for record in cached]


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _process_serially(
    processor: TrackProcessor, files: Sequence[HashedFile], with_audio: bool
) -> Iterator[TrackRecord]:
    n_threads = torch.get_num_threads()
    try:
        for file in files:
            yield processor.process(file, with_audio)
    finally:
        torch.set_num_threads(n_threads)


class _ProcessPool:
    """Processes files in worker processes; all are submitted at once."""

    def __init__(
        self, processor: TrackProcessor, files: Sequence[HashedFile], with_audio: bool, n_workers: int
    ) -> None:
        self.maker, self.files, self.with_audio, self.n_workers = processor, files, with_audio, n_workers
        self.futures: list[Future[TrackRecord]] = []
        self._submit(0)

    def _submit(self, first: int) -> None:
        self.pool = _pool(self.n_workers)
        futures = [self.pool.submit(self.maker.process, file, self.with_audio) for file in self.files[first:]]
        self.futures[first:] = futures

    def results(self) -> Iterator[TrackRecord]:
        """Yield records in the order of the files."""
        try:
            for index, file in enumerate(self.files):
                record = _result(self.futures[index])
                if record is None:  # a worker died, on this file or another one running at that time
                    self.pool.shutdown()
                    record = self._process_alone(file)
                    self._submit(index + 1)
                yield record
        except BaseException:  # do not wait for files whose records are no longer needed
            for process in list((self.pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            self.pool.shutdown(cancel_futures=True)

    def _process_alone(self, file: HashedFile) -> TrackRecord:
        with _pool(1) as pool:
            future = pool.submit(self.maker.process, file, self.with_audio)
            (worker,) = pool._processes.values()
            if (record := _result(future)) is not None:
                return record
        was_killed = worker.exitcode == -signal.SIGKILL
        return self.maker.mark_failed(file, KILLED if was_killed else CRASHED, try_again=was_killed)


def _result(future: "Future[TrackRecord]") -> TrackRecord | None:
    """Return the record, or None if a worker died."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def _pool(n_workers: int) -> ProcessPoolExecutor:
    """Create workers that start by the fastest method of the system, and exit with this process."""
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(n_workers, context, _init_worker, (os.getpid(),))


def _init_worker(parent: int) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the command stops its workers itself
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the handler of the parent
    torch.set_num_threads(1)
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """Exit this worker after the command was killed."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(1)
