"""`sources/fetch.json`: what came from where, when, under which licence, and how to know it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from ingest.fetch.download import Patience, Record, Tell, download, is_whole
from ingest.fetch.services import Service
from twin.errors import SourceError

LEDGER = "sources/fetch.json"
ORIGINALS = "sources/originals"


@dataclass(slots=True)
class Ledger:
    """The records of a city's downloads; written after every one, so that a killed run loses nothing.

    moved   bytes that came over the wire in this run
    fresh   files that came in this run; kept = files that were whole already
    """

    root: Path
    patience: Patience = field(default_factory=Patience)
    tell: Tell | None = None
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    moved: int = 0
    fresh: int = 0
    kept: int = 0

    @classmethod
    def open(cls, root: Path, patience: Patience, tell: Tell | None) -> Ledger:
        """The ledger of a city's folder, empty where there is none; SourceError where it is damaged."""
        path = root / LEDGER
        entries: dict[str, dict[str, Any]] = {}
        if path.exists():
            try:
                entries = {entry["file"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["files"]}
            except (ValueError, KeyError, TypeError) as error:
                raise SourceError(f"{path}: damaged ({error}); remove it, the files are then fetched again") from error
        return cls(root, patience, tell, entries)

    def known(self, file: str, url: str) -> Record | None:
        """What was recorded of a file, None where it never came from this address."""
        entry = self.entries.get(file)
        if entry is None or entry["url"] != url:
            return None
        return Record(**{key: entry[key] for key in ("url", "file", "size", "blake2b", "etag", "date")})

    def whole_file(self, service: Service, path: str, year: str = "") -> Path:
        """The original of a service at `path`, downloaded unless it is there as recorded."""
        return self.made(
            service, path, path, lambda url, to: download(url, to, self.root, self.patience, self.tell), year
        )

    def made(
        self, service: Service, path: str, keep: str, bring: Callable[[str, Path], Record], year: str = ""
    ) -> Path:
        """The file kept as `keep` below the originals; `bring(url, target)` unless it is there as recorded."""
        file = f"{ORIGINALS}/{service.name}/{keep}"
        target, url = self.root / file, service.url(path)
        if is_whole(target, self.known(file, url)):
            self.kept += 1
            return target
        record = bring(url, target)
        self.fresh += 1
        self.moved += record.size
        said = {"service": service.title, "licence": service.licence, "attribution": service.attribution}
        said["attribution"] = said["attribution"].replace("{year}", year)
        self.entries[file] = {**record.as_dict(), **said}
        self._write()
        return target

    def dates(self, service: Service) -> list[str]:
        """Days (ISO 8601) the server gave for the files of a service, sorted."""
        start = f"{ORIGINALS}/{service.name}/"
        given = [entry["date"] for file, entry in self.entries.items() if file.startswith(start) and entry["date"]]
        return sorted(filter(None, map(_day, given)))

    def date_of(self, path: Path) -> str:
        """The day (ISO 8601) the server gave for one file, "" where it gave none."""
        entry = self.entries.get(path.relative_to(self.root).as_posix(), {"date": ""})
        return _day(str(entry["date"])) if entry["date"] else ""

    def _write(self) -> None:
        path = self.root / LEDGER
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [self.entries[file] for file in sorted(self.entries)]
        beside = path.with_name(path.name + ".new")
        beside.write_text(json.dumps({"files": files}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)


def _day(text: str) -> str:
    """The ISO 8601 day of an HTTP date, "" where the server wrote something else."""
    try:
        return parsedate_to_datetime(text).date().isoformat()
    except ValueError:
        return ""
