"""How figures are taken: whole processes, several runs, the median, the kernel's own account of memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

TWIN = [sys.executable, "-m", "twin.cli"]


def figure(name: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    """One figure; peer and ratio are null where no peer ran in the same call. Ratio > 1: we are ahead."""
    blank = {"n": None, "seconds": None, "peak_mib": None, "peer": None, "peer_value": None, "ratio": None}
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        **blank,
        **more,
        "cores": len(os.sched_getaffinity(0)),
    }


def run_process(command: Sequence[str], timeout: float = 900.0) -> tuple[float, float]:
    """(seconds, peak MiB of the largest process) of a command that must succeed."""
    seconds, _, peak = run_counted(command, timeout)
    return seconds, peak


def run_counted(command: Sequence[str], timeout: float = 900.0) -> tuple[float, float, float]:
    """(seconds, CPU seconds of all its processes, peak MiB of the largest) of a command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1) or seconds > timeout:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode} after {seconds:.0f} s")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024.0


def median_of(times: int, once: Callable[[], float]) -> tuple[float, list[float]]:
    """Median and all of several runs."""
    runs = [once() for _ in range(times)]
    return statistics.median(runs), [round(run, 3) for run in runs]
