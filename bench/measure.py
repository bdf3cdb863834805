"""How figures are taken: whole processes, several runs, the median, the kernel's own account of memory."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TWIN = [sys.executable, "-m", "twin.cli"]
_LOOK = 0.02  # s between two looks at a process


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


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: seconds on the clock, of CPU with all it started, MiB at the peak of its largest."""

    seconds: float
    cpu: float
    peak_mib: float


def run_process(command: Sequence[str], timeout: float = 900.0, env: Mapping[str, str] | None = None) -> Ran:
    """What a command took that must succeed within `timeout` seconds; RuntimeError else.

    The peak is VmHWM while the command runs: ru_maxrss of a child begins with what its parent held at the fork. CPU is
    summed over the processes that were seen: the account of the kernel leaves out workers that a fork server started.
    """
    began, peak, ended, cpu, family = time.perf_counter(), 0, 0, dict[int, float](), list[int]()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    while not ended:
        time.sleep(_LOOK)
        if time.perf_counter() - began > timeout:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        family = list(_family(process.pid))
        peak = max(peak, *(_high_water(pid) for pid in family))
        cpu |= {pid: spent for pid in family if (spent := _spent(pid)) > 0.0}
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode} after {seconds:.0f} s")
    return Ran(seconds, max(usage.ru_utime + usage.ru_stime, sum(cpu.values())), peak / 1024.0)


def _family(pid: int) -> Iterator[int]:
    """A process and what it started, down to the last."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _high_water(pid: int) -> int:
    """KiB of the largest resident set so far; 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _spent(pid: int) -> float:
    """Seconds of CPU of one process, its children not counted; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_server(pid: int) -> float:
    """Seconds of CPU of a server process, of its children, and of those that ended already."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(file.parent.name) == pid:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def median_of(times: int, once: Callable[[], float]) -> tuple[float, list[float]]:
    """Median and all of several runs."""
    runs = [once() for _ in range(times)]
    return statistics.median(runs), [round(run, 3) for run in runs]


async def until_open(port: int, seconds: float) -> None:
    """Wait until a server listens on the port of this machine; RuntimeError after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise RuntimeError(f"the server did not come up in {seconds:.0f} s")
