"""Runs of processes: one at a time in a thread of its own, a bounded queue before it, results remembered."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from server.errors import BusyError, NoSuchJobError, ResultNotReadyError
from twin.errors import TwinError

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One run: its id, the process, and what will come of it."""

    id: str
    process: str
    future: Future[Result]

    @property
    def status(self) -> str:
        """accepted, running, successful, failed or dismissed (OGC API Processes)."""
        if self.future.cancelled():
            return "dismissed"
        if self.future.running():
            return "running"
        if not self.future.done():
            return "accepted"
        return "failed" if self.future.exception() else "successful"

    @property
    def message(self) -> str:
        """Why it failed, in one line; empty otherwise. Faults that are not the caller's are not told."""
        if self.status != "failed":
            return ""
        error = self.future.exception()
        return str(error) if isinstance(error, TwinError) else "the run failed; the reason is in the server's log"


class JobBoard:
    """Jobs by id; `most` remembered, at most `waiting` not yet finished."""

    def __init__(self, most: int, waiting: int) -> None:
        self._most = most
        self._waiting = waiting
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process")
        self._lock = threading.Lock()

    def start(self, process: str, work: Callable[[], Result]) -> Job:
        """A job on the board, run when those before it are done; BusyError where too many wait already."""
        with self._lock:
            open_jobs = sum(not job.future.done() for job in self._jobs.values())
            if open_jobs >= self._waiting:
                raise BusyError(f"{open_jobs} runs are waiting; try again later", retry_after=10)
            job = Job(secrets.token_hex(8), process, self._thread.submit(work))
            self._jobs[job.id] = job
            finished = [key for key, kept in self._jobs.items() if kept.future.done()]
            for key in finished[: max(0, len(self._jobs) - self._most)]:
                del self._jobs[key]
        return job

    def jobs(self) -> list[Job]:
        """All remembered jobs, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def find(self, job_id: str) -> Job:
        """The job; NoSuchJobError where there is none or it has been forgotten."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NoSuchJobError(f"no job {job_id!r}; finished jobs are forgotten after {self._most} newer ones")
        return job

    def result(self, job_id: str) -> Result:
        """What the job gave.

        raises  ResultNotReadyError while it runs or after it was dismissed; the work's own error where it failed
        """
        job = self.find(job_id)
        if job.status in ("accepted", "running", "dismissed"):
            raise ResultNotReadyError(f"job {job_id} is {job.status}; it has no result")
        return job.future.result()

    def dismiss(self, job_id: str) -> Job:
        """Take the job off the board; one that has not begun never will."""
        job = self.find(job_id)
        job.future.cancel()
        self.forget(job)
        return job

    def aside(self, work: Callable[[], object]) -> None:
        """Do something in the thread of the runs that nobody waits for; runs that come later wait for it."""
        self._thread.submit(work)

    def close(self) -> None:
        """Drop what waits and let the running one end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def forget(self, job: Job) -> None:
        """Take the job off the board; nothing where it is not on it."""
        with self._lock:
            self._jobs.pop(job.id, None)
