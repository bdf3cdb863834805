"""Runs in processes of their own that are killed at a call of Python, for the tests of what they leave behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time

FORK = multiprocessing.get_context("fork")


def start(target, *args):
    process = FORK.Process(target=target, args=args)
    process.start()
    return process


def up_to(run, root, last, counted):
    """Run, and die at the call numbered `last`; without dying, `counted` holds how many there were."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    run(root)
    sys.setprofile(None)
    if counted is not None:
        counted.value = calls


def run_to_the_end(run, root, seconds):
    """Seconds of an undisturbed run, in a process of its own, that ends well within so many."""
    began = time.monotonic()
    process = start(run, root)
    process.join(seconds)
    assert process.exitcode == 0
    return time.monotonic() - began
