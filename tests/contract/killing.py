"""Runs in processes of their own that are killed at a call of Python, for the tests of what they leave behind.

They are forked from a process that has imported what the tests have and has run nothing: threads that a library began
in the tests' own process (GDAL reads with several) are not in a fork of it, which then waits for them for ever.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

_FORK = multiprocessing.get_context("fork")
_LOOK = 0.002
_met = []
"""Modules that a run to its end had: later children are forked with them, so that their calls are the run's own."""


class Child:
    """A run in a process of its own; `exitcode` as of multiprocessing, None until it is known to have ended."""

    def __init__(self, pid):
        self.pid, self.exitcode = pid, None

    def join(self, seconds):
        until = time.monotonic() + seconds
        while self.exitcode is None:
            self.exitcode = _told(("ended", self.pid))
            if time.monotonic() > until:
                return
            time.sleep(_LOOK)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def start(target, *args):
    """A child that calls `target`, a function of a module."""
    return Child(_told(("start", _met, pickle.dumps((target, args)))))


_parents = []


def _told(word):
    if not _parents:
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", "from tests.contract.killing import serve; serve()"]
        _parents.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env))
    pickle.dump(word, _parents[0].stdin)
    _parents[0].stdin.flush()
    return pickle.load(_parents[0].stdout)


def serve():
    """Fork children at the word of the tests, until these end."""
    asked, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    children, tried = {}, set(sys.modules)
    while True:
        try:
            word = pickle.load(asked)
        except EOFError:
            return
        if word[0] == "start":
            for name in word[1]:
                if name not in tried:
                    tried.add(name)
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)
            target, args = pickle.loads(word[2])
            child = _FORK.Process(target=target, args=args)
            child.start()
            children[child.pid] = child
            answer = child.pid
        else:
            answer = children[word[1]].exitcode
        pickle.dump(answer, told)
        told.flush()


def up_to(run, root, last, counted):
    """Run, and die at the call numbered `last`; without dying, the file `counted` tells how many there were."""
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
        counted.write_text(str(calls), encoding="utf-8")


def calls_of(run, root, seconds):
    """How many calls of Python an undisturbed run makes."""
    counted = Path(f"{root}.calls")
    process = start(up_to, run, root, 0, counted)
    process.join(seconds)
    assert process.exitcode == 0
    return int(counted.read_text(encoding="utf-8"))


def run_to_the_end(run, root, seconds):
    """Seconds of an undisturbed run, in a process of its own, that ends well within so many."""
    began = time.monotonic()
    modules = Path(f"{root}.modules")
    process = start(_telling, run, root, modules)
    process.join(seconds)
    assert process.exitcode == 0
    took = time.monotonic() - began
    _met[:] = modules.read_text(encoding="utf-8").split()
    return took


def _telling(run, root, modules):
    run(root)
    modules.write_text("\n".join(sys.modules), encoding="utf-8")
