"""Features from Overture's GeoParquet: only the row groups that touch the place cross the wire."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from ingest.fetch.download import Patience, Record, ask
from ingest.fetch.flat import write_rows
from ingest.fetch.ledger import Ledger
from ingest.fetch.places import Place
from ingest.fetch.services import Service
from twin.errors import SourceError

RELEASE = r"\d{4}-\d{2}-\d{2}\.\d+"
_AHEAD = 1 << 20
_SIDES = ("xmin", "xmax", "ymin", "ymax")
_WANTED: MappingProxyType[str, tuple[str, ...]] = MappingProxyType({
    "buildings": ("id", "bbox", "geometry", "names", "subtype", "height", "num_floors", "sources"),
    "roads": ("id", "bbox", "geometry", "names", "subtype", "class", "width_rules", "road_flags", "sources"),
    "addresses": (
        "id", "bbox", "geometry", "country", "postcode", "street", "number", "unit", "address_levels", "postal_city",
        "sources",
    ),
})  # fmt: skip


class RemoteFile(io.RawIOBase):
    """A file on a server as a seekable file: every read is a Range request, and all must be of the same version.

    raises  SourceError where the server knows no ranges, or the file changes while it is read
    """

    def __init__(self, url: str, patience: Patience) -> None:
        self._url, self._patience = url, patience
        self._at, self._start, self._held = 0, 0, b""
        self.etag = self.date = ""
        self.moved = 0
        self.size = 0
        self._fetch("bytes=-65536")

    def _fetch(self, span: str) -> None:
        body, said = ask(self._url, {"Range": span}, self._patience, (206,))
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", said.get("Content-Range", ""))
        if not found or len(body) != int(found[2]) - int(found[1]) + 1:
            raise SourceError(f"{self._url}: the range came cut short; run the same command again")
        etag = said.get("ETag", "")
        if self.size and (etag != self.etag or int(found[3]) != self.size):
            raise SourceError(f"{self._url}: changed on the server while it was read; run the same command again")
        self.etag, self.date, self.size = etag, said.get("Last-Modified", ""), int(found[3])
        self._start, self._held = int(found[1]), body
        self.moved += len(body)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing crosses the wire."""
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, from what is held where it holds them all."""
        size = self.size - self._at if size < 0 else min(size, self.size - self._at)
        if size <= 0:
            return b""
        if not (self._start <= self._at and self._at + size <= self._start + len(self._held)):
            last = min(self._at + max(size, _AHEAD), self.size) - 1
            self._fetch(f"bytes={self._at}-{last}")
        begin = self._at - self._start
        self._at += size
        return self._held[begin : begin + size]


def latest_release(ledger: Ledger, stac: Service) -> str:
    """The release that the index called the latest when it was first asked, so that a rerun keeps to it."""
    path = str(stac.layout["catalog"])
    try:
        release = str(json.loads(ledger.whole_file(stac, path).read_text(encoding="utf-8"))["latest"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{stac.url(path)}: names no latest release; give --release") from error
    if re.fullmatch(RELEASE, release) is None:
        raise SourceError(f"{stac.url(path)}: {release[:40]!r} is no name of a release; give --release")
    return release


def files_of(index: Path, prefix: str, place: Place) -> list[str]:
    """Keys of the GeoParquet files below `prefix` whose box touches the place, by the index of the release."""
    try:
        rows = pq.read_table(index, columns=["bbox", "assets"]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{index.name}: not the index of an Overture release ({error})") from error
    key = re.compile(rf'"[^"]*?({re.escape(prefix)}[A-Za-z0-9._-]+\.parquet)"')
    found = {
        match[1]
        for row in rows
        if row["bbox"] and row["assets"] and _touches(row["bbox"], place)
        if (match := key.search(json.dumps(row["assets"], default=str)))
    }
    return sorted(found)


def _touches(box: dict[str, float], place: Place) -> bool:
    return (
        box["xmin"] <= place.east
        and box["xmax"] >= place.west
        and box["ymin"] <= place.north
        and box["ymax"] >= place.south
    )


def fetch_rows(ledger: Ledger, service: Service, key: str, what: str, place: Place) -> Iterator[Path]:
    """The rows of one remote file that touch the place, one small Parquet file a row group; what is there is kept."""
    url = service.url(key)
    listed = ledger.made(service, key, f"{_named(key, place)}.groups.json", lambda _, to: _plan(url, to, ledger, place))
    for group in json.loads(listed.read_text(encoding="utf-8"))["groups"]:
        yield ledger.made(
            service,
            key,
            part_of(key, place, group),
            lambda _, to, group=group: _bring(url, to, ledger, (what, group, place)),  # type: ignore[misc]
        )


def part_of(key: str, place: Place, group: int) -> str:
    """Name of the file that keeps the rows of one row group of a remote file."""
    return f"{_named(key, place)}.{group}.parquet"


def _named(key: str, place: Place) -> str:
    """How the names of the parts of one remote file begin; another box has other parts."""
    return f"{key}.{hashlib.blake2b(json.dumps(place.as_list()).encode(), digest_size=4).hexdigest()}"


def _open(url: str, patience: Patience) -> tuple[RemoteFile, pq.ParquetFile]:
    remote = RemoteFile(url, patience)
    try:
        return remote, pq.ParquetFile(pa.PythonFile(remote, mode="r"), pre_buffer=True)
    except pa.ArrowException as error:
        raise SourceError(f"{url}: not a Parquet file ({error})") from error


def _plan(url: str, target: Path, ledger: Ledger, place: Place) -> Record:
    """Which row groups touch the place, by the statistics in the file's footer."""
    remote, file = _open(url, ledger.patience)
    return _keep(json.dumps({"groups": _groups(url, file.metadata, place)}).encode(), target, ledger, url, remote)


def weigh_rows(url: str, what: str, place: Place, patience: Patience) -> dict[int, int]:
    """Row group -> bytes of what `fetch_rows` would bring of one remote file; only its footer crosses the wire."""
    meta = _open(url, patience)[1].metadata
    wanted = [k for k in range(meta.num_columns) if meta.schema.column(k).path.split(".")[0] in _WANTED[what]]
    return {
        group: sum(meta.row_group(group).column(k).total_compressed_size for k in wanted)
        for group in _groups(url, meta, place)
    }


def _groups(url: str, meta: Any, place: Place) -> list[int]:
    columns = {meta.schema.column(k).path: k for k in range(meta.num_columns)}
    missing = [side for side in _SIDES if f"bbox.{side}" not in columns]
    if missing:
        raise SourceError(f"{url}: has no column bbox.{missing[0]}; not a file of an Overture release")
    return [g for g in range(meta.num_row_groups) if _group_touches(meta.row_group(g), columns, place)]


def _group_touches(group: Any, columns: dict[str, int], place: Place) -> bool:
    stats = {side: group.column(columns[f"bbox.{side}"]).statistics for side in _SIDES}
    if any(s is None or not s.has_min_max for s in stats.values()):
        return True
    box = {side: stats[side].min if side.endswith("min") else stats[side].max for side in _SIDES}
    return _touches(box, place)


def _bring(url: str, target: Path, ledger: Ledger, want: tuple[str, int, Place]) -> Record:
    what, group, place = want
    remote, file = _open(url, ledger.patience)
    columns = [name for name in _WANTED[what] if name in file.schema_arrow.names]
    try:
        table = file.read_row_group(group, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{url}: row group {group} cannot be read ({error})") from error
    box = {side: pc.struct_field(table.column("bbox"), side) for side in _SIDES}
    inside = pc.and_(
        pc.and_(pc.less_equal(box["xmin"], place.east), pc.greater_equal(box["xmax"], place.west)),
        pc.and_(pc.less_equal(box["ymin"], place.north), pc.greater_equal(box["ymax"], place.south)),
    )
    sink = io.BytesIO()
    pq.write_table(table.filter(inside), sink, compression="zstd")
    return _keep(sink.getvalue(), target, ledger, url, remote)


def _keep(data: bytes, target: Path, ledger: Ledger, url: str, remote: RemoteFile) -> Record:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".new")
    beside.write_bytes(data)
    beside.replace(target)
    digest = hashlib.blake2b(data, digest_size=32).hexdigest()
    return Record(url, target.relative_to(ledger.root).as_posix(), len(data), digest, remote.etag, remote.date)


def write_features(parts: list[Path], what: str, target: Path) -> int:
    """Write the rows of all parts as one GeoJSON in WGS 84 with flat columns, sorted by id; returns their number."""
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    if what == "roads":
        rows = [row for row in rows if row.get("subtype") in ("road", "rail")]
    rows.sort(key=lambda row: row["id"])
    shapes = shapely.from_wkb(np.array([row["geometry"] for row in rows], dtype=object)) if rows else np.array([])
    return write_rows([_FLAT[what](row) for row in rows], shapes, target)


def _building(row: dict[str, Any]) -> dict[str, Any]:
    plain = {key: row.get(key) for key in ("id", "subtype", "height", "num_floors")}
    return {**plain, "name": _name(row), "dataset": _dataset(row)}


def _road(row: dict[str, Any]) -> dict[str, Any]:
    widths = [rule["value"] for rule in row.get("width_rules") or () if rule.get("value")]
    flags = {flag for rule in row.get("road_flags") or () for flag in rule.get("values") or ()}
    plain = {"id": row["id"], "class": row.get("class") or "unknown", "width": max(widths, default=None)}
    return {**plain, "bridge": int("is_bridge" in flags), "name": _name(row), "dataset": _dataset(row)}


def _address(row: dict[str, Any]) -> dict[str, Any]:
    """Levels go from the largest division to the smallest; which they are differs by country."""
    levels = [level.get("value") for level in row.get("address_levels") or () if level]
    levels = (levels + [None] * 3)[:3]
    plain = {key: row.get(key) for key in ("id", "country", "postcode", "street", "number", "unit")}
    province, city, district = levels
    said = {"province": province, "city": city or row.get("postal_city"), "district": district}
    return {**plain, **said, "dataset": _dataset(row)}


def _name(row: dict[str, Any]) -> str:
    return (row.get("names") or {}).get("primary") or ""


def _dataset(row: dict[str, Any]) -> str:
    return ", ".join(sorted({s["dataset"] for s in row.get("sources") or () if s.get("dataset")}))


_FLAT: MappingProxyType[str, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType(
    {"buildings": _building, "roads": _road, "addresses": _address}
)
