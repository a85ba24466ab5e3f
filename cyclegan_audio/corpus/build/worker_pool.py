"""Many source files at once, one process a core: a crash of a decoder takes no other file with it."""

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

from cyclegan_audio.corpus.sources import SourceFile
from cyclegan_audio.corpus.track_record import TrackRecord
from cyclegan_audio.corpus.build.track_processor import HashedFile, TrackProcessor
from cyclegan_audio.utils.progress import with_progress

CRASHED = "the decoder crashed"
_WATCH_S = 1.0


def hash_files(maker: TrackProcessor, files: Sequence[SourceFile], workers: int | None) -> list[HashedFile]:
    """Hash all files, in their order."""
    with ThreadPoolExecutor(workers or n_cores()) as threads:  # hashing leaves the interpreter's lock
        hashed = threads.map(maker.hash, files)
        return list(with_progress(hashed, "looking for what is done", len(files), "files"))


def process_tracks(
    maker: TrackProcessor, files: Sequence[HashedFile], with_audio: bool, workers: int | None
) -> list[TrackRecord]:
    """Process the files that are not done already; returns the records in the order of the files."""
    with ThreadPoolExecutor(workers or n_cores()) as threads:
        done = list(threads.map(lambda file: maker.load_cached(file, with_audio), files))
    missing = [file for file, record in zip(files, done, strict=True) if record is None]
    if not missing:
        return [record for record in done if record is not None]
    n_workers = min(workers or n_cores(), len(missing))
    if n_workers > 1:
        made = _Processes(maker, missing, with_audio, n_workers).results()
    else:
        made = _serially(maker, missing, with_audio)
    records = iter(list(with_progress(made, "preparing", len(missing), "files")))
    return [next(records) if record is None else record for record in done]


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serially(maker: TrackProcessor, files: Sequence[HashedFile], with_audio: bool) -> Iterator[TrackRecord]:
    n_threads = torch.get_num_threads()
    try:
        for file in files:
            yield maker.process(file, with_audio)
    finally:
        torch.set_num_threads(n_threads)


class _Processes:
    """Makes files in processes. All are handed out at once."""

    def __init__(
        self, maker: TrackProcessor, files: Sequence[HashedFile], with_audio: bool, n_workers: int
    ) -> None:
        self.maker, self.files, self.with_audio, self.n_workers = maker, files, with_audio, n_workers
        self.futures: list[Future[TrackRecord]] = []
        self._hand_out(0)

    def _hand_out(self, first: int) -> None:
        self.pool = _pool(self.n_workers)
        again = [self.pool.submit(self.maker.process, file, self.with_audio) for file in self.files[first:]]
        self.futures[first:] = again

    def results(self) -> Iterator[TrackRecord]:
        """Records in the order of the files."""
        try:
            for place, file in enumerate(self.files):
                record = _result(self.futures[place])
                if record is None:  # a process died: of this file, or of another one at work at that time
                    self.pool.shutdown()
                    record = self._alone(file)
                    self._hand_out(place + 1)
                yield record
        except BaseException:  # nobody waits for the end of a file that is not wanted any more
            for process in list((self.pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            self.pool.shutdown(cancel_futures=True)

    def _alone(self, file: HashedFile) -> TrackRecord:
        with _pool(1) as pool:
            record = _result(pool.submit(self.maker.process, file, self.with_audio))
        return record or self.maker.mark_failed(file, CRASHED)


def _result(future: "Future[TrackRecord]") -> TrackRecord | None:
    """None where a process died."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def _pool(n_workers: int) -> ProcessPoolExecutor:
    """Workers that start as fast as the system allows, and end with this process, however it ends."""
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(n_workers, context, _begin, (os.getpid(),))


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command ends its workers itself
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as here, whatever handler the parent has
    torch.set_num_threads(1)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this worker when the command was killed."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)
