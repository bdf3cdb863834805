"""A little city whose second source is the one under test: made once a seed, copied for each case."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

X, Y = 500_000.0, 4_430_000.0
HEAD = """\
[frame]
crs = "EPSG:4547"
vertical = "1985"
geoid_undulation = -15.0
[[source]]
name = "base"
kind = "footprints"
path = "base.csv"
crs = "EPSG:4547"
"""
PEAK_MIB = 1024


@dataclass(frozen=True)
class Seed:
    """One small valid delivery.

    files       name -> bytes, as written in code
    target      the file that is mutated
    source      its [[source]] table, name and path aside
    """

    name: str
    files: dict[str, bytes]
    target: str
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bytes:
        """The bytes of the target."""
        return self.files[self.target]


@dataclass(frozen=True)
class Ended:
    """How a case ended."""

    code: int
    peak_mib: int
    seconds: float
    stdout: str
    stderr: str


class Nursery:
    """The process that forks a child a case."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "tests.robustness.nursery"]
        self._process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, folder: Path, *argv: str) -> Ended:
        """`twin` with these words in a child of its own."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "argv": list(argv)}) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def ingest(self, folder: Path) -> Ended:
        """`twin ingest --force` of the city in `folder`."""
        return self.run(folder, "ingest", str(folder), "--force", "--workers", "1")

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def declare(folder: Path, *tables: dict[str, Any]) -> None:
    """city.toml with the base source and these."""
    lines = [HEAD]
    for table in tables:
        lines.append("[[source]]")
        lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    (folder / "city.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    square = f"POLYGON (({X} {Y}, {X + 9} {Y}, {X + 9} {Y + 9}, {X} {Y + 9}, {X} {Y}))"
    (folder / "base.csv").write_text(f'oid,wkt\nbase,"{square}"\n', encoding="utf-8")


def lay_out(folder: Path, seed: Seed) -> None:
    """The city of a seed before its first ingest."""
    folder.mkdir(parents=True)
    declare(folder, {"name": "tested", "path": seed.target, "crs": "EPSG:4547"} | seed.source)
    for name, data in seed.files.items():
        (folder / name).write_bytes(data)


def copy_city(city: Path, folder: Path, files: dict[str, bytes]) -> Path:
    """A copy of a city with other files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(city, folder)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def state_of(folder: Path) -> dict[str, str]:
    """Digest of everything the store keeps, live tables by content."""
    store = folder / ".twin"
    found = {
        str(path.relative_to(store)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.name != "lock" and not path.name.startswith("live.sqlite")
    }
    if "catalog.json" in found:
        # The stamps aside: a stage that began and failed counts as not run.
        items = json.loads((store / "catalog.json").read_text(encoding="utf-8"))["items"]
        found["catalog.json"] = json.dumps(items, sort_keys=True)
    live = store / "live.sqlite"
    if live.exists():
        with sqlite3.connect(live) as connection:
            found["live"] = hashlib.blake2b("\n".join(connection.iterdump()).encode()).hexdigest()
        connection.close()
    return found


def judge(ended: Ended, folder: Path, before: dict[str, str], shown: str) -> None:
    """A clear line about the file and an untouched store, or a report over whole layers; nothing else."""
    said = f"exit {ended.code} after {ended.seconds:.1f} s, {ended.peak_mib} MiB\n{ended.stderr[-3000:]}"
    assert ended.code in (0, 1, 2), f"no clear end: {said}"
    assert ended.peak_mib <= PEAK_MIB, f"memory over the bound: {said}"
    if ended.code != 2:
        return
    lines = [line for line in ended.stderr.splitlines() if line.startswith("twin: ")]
    assert len(lines) == 1, f"not one line: {said}"
    assert ended.stderr.splitlines()[-1] == lines[0], f"more than one line: {said}"
    assert "Traceback" not in ended.stderr, said
    assert shown in lines[0], f"the file is not named: {said}"
    assert len(lines[0]) < 600, f"a line of {len(lines[0])} characters: {said}"
    assert state_of(folder) == before, f"the store changed: {said}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
