"""What the page keeps while it runs: its folders, the jobs that it started, and its visitors."""

import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from cyclegan_audio.web.jobs import Jobs

PREPARE, MEASURE = "prepare", "report"  # the jobs that make a corpus, and a report or a comparison
CHECK_S, MAX_AGE_S = 600, 2700  # gradio deletes files 45 to 55 minutes after their last use


def _ended() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Session:
    """A visitor: the folder of the results, and the stop of the latest translation, set once it has ended."""

    folder: Path
    stop: threading.Event = field(default_factory=_ended)


class PageState:
    """State of the page for a folder of runs.

    Attributes:
        runs: the folder of runs, corpora and reports.
        cache: the folder for dropped songs and their translations.
        jobs: the commands that it has started.
        started: runs that it has started; the newest may have no files yet.
        translating: held by the one translation that runs.
    """

    def __init__(self, runs: Path, cache: Path) -> None:
        self.runs, self.cache, self.jobs = runs, cache, Jobs(runs)
        self.started: list[Path] = []
        self.translating = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def session(self, name: str | None) -> Session:
        """Return a visitor's session; it is created at its first use."""
        if str(name) not in self._sessions:
            self._sessions[str(name)] = Session(Path(tempfile.mkdtemp(dir=self.cache, prefix="session_")))
        return self._sessions[str(name)]

    def end_session(self, name: str | None) -> None:
        """Stop the visitor's translation, and delete the results."""
        session = self._sessions.pop(str(name), None)
        if session is not None:
            session.stop.set()
            shutil.rmtree(session.folder, ignore_errors=True)
