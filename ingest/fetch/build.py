"""`twin fetch`: open data for a place, downloaded once, checked, and declared in city.toml."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ingest.fetch import declare
from ingest.fetch.download import AbsentError, Patience, Tell, download
from ingest.fetch.ledger import Ledger
from ingest.fetch.places import Place, degree_tiles, read_place, tile_stem
from ingest.fetch.scenes import Scene, choose_scenes, read_scenes
from ingest.fetch.services import Service, read_services
from twin.city import open_city
from twin.errors import OptionsError, SourceError
from twin.outcome import Outcome, Report

USUAL = ("dem", "buildings", "roads", "addresses", "imagery")
MARGIN = 0.01  # deg around the place for rasters, so that no edge is missing after warping


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch.

    bbox        west, south, east, north in degrees, WGS 84
    what        dem, buildings, roads, addresses, imagery; osm-buildings, osm-roads, osm-addresses
    mirror      address that replaces the services' own
    release     Overture release, the latest where empty
    extract     OpenStreetMap extract, as asia/china/shanxi; the smallest that holds the place where empty
    dates       RFC 3339 interval of the imagery, for example 2025-05-01/2025-09-30; newest hundred scenes where empty
    """

    bbox: Sequence[float]
    what: Sequence[str] = USUAL
    mirror: str = ""
    release: str = ""
    extract: str = ""
    dates: str = ""
    patience: Patience = field(default_factory=Patience)

    def check(self) -> Place:
        """The place; OptionsError where something wished for is unknown."""
        for word in self.what:
            if word not in KINDS:
                raise OptionsError(f"--what {word}: unknown; there are {', '.join(KINDS)}")
        if self.release and not re.fullmatch(r"\d{4}-\d{2}-\d{2}\.\d+", self.release):
            raise OptionsError(f"--release {self.release!r}: wants a name like 2025-09-24.0")
        if self.extract and not re.fullmatch(r"[a-z0-9-]+(/[a-z0-9-]+)*", self.extract):
            raise OptionsError(f"--extract {self.extract!r}: wants a name like asia/china/shanxi")
        if self.dates and not re.fullmatch(r"\d{4}-\d{2}-\d{2}/\d{4}-\d{2}-\d{2}", self.dates):
            raise OptionsError(f"--dates {self.dates!r}: wants an interval like 2025-05-01/2025-09-30")
        return read_place(self.bbox)


class EmptyError(SourceError):
    """The service answers, and has nothing of the kind in this place."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One word of --what on its way: the wish, the place, the services, the ledger, and lines for the person."""

    wish: Wish
    place: Place
    services: dict[str, Service]
    ledger: Ledger
    notes: list[str] = field(default_factory=list)

    def service(self, name: str) -> Service:
        """A service by name."""
        return self.services[name]


def fetch(root: Path, wish: Wish, tell: Tell | None = None) -> Report:
    """Fetch what is wished for into `root`/sources and declare it in its city.toml.

    A service that fails is a failed outcome; the others go on, and the same command later does only what is missing.
    raises  OptionsError for a wish that makes no sense, before anything is written
    """
    place, services = wish.check(), read_services(wish.mirror)
    vertical = str(services["copernicus-dem"].layout["vertical"])
    city = open_city(root) if (root / "city.toml").exists() else declare.new_city(root, place, vertical)
    errand = Errand(wish, place, services, Ledger.open(root, wish.patience, tell))
    tables: list[dict[str, Any]] = []
    outcomes: list[Outcome] = []
    for word in dict.fromkeys(wish.what):
        try:
            tables.append(KINDS[word](errand))
        except EmptyError as error:
            outcomes.append(Outcome(word, "skipped", str(error), "fetch"))
        except SourceError as error:
            outcomes.append(Outcome(word, "failed", str(error), "fetch"))
    added = declare.add_sources(city, tables)
    ledger = errand.ledger
    figures = {"files_fetched": ledger.fresh, "files_kept": ledger.kept, "bytes_fetched": ledger.moved}
    warnings = _warnings(city.frame.vertical, city.frame.geoid_undulation, vertical, tables)
    dates = {source.name: source.date for source in city.sources}
    warnings += tuple(errand.notes)
    warnings += tuple(
        f'{table["name"]}: declared already with date "{dates[table["name"]]}", fetched is "{table["date"]}"; '
        "mend date and path in city.toml"
        for table in tables
        if table["name"] not in added and dates[table["name"]] != table["date"]
    )
    return Report("fetch", len(tables), tuple(outcomes), figures, warnings)


def _warnings(ours: str, undulation: float, theirs: str, tables: list[dict[str, Any]]) -> tuple[str, ...]:
    lines = []
    if any(table["kind"] == "dem" for table in tables):
        if ours != theirs:
            lines.append(
                f"dem: heights are {theirs}, the city's are {ours or 'not declared'}; add "
                'extra = { vertical_offset = <metres> } to [[source]] "copernicus-dem" in city.toml'
            )
        lines.append("dem: Copernicus GLO-30 is a surface model: roofs and trees are in it; a terrain survey is better")
    if undulation == 0.0:
        lines.append("frame: geoid_undulation is 0; declare it in [frame] so that the city stands right on the globe")
    return tuple(lines)


def _dem(errand: Errand) -> dict[str, Any]:
    from ingest.fetch.windows import cut_window

    service = errand.service("copernicus-dem")
    names: list[str] = []
    missing: list[str] = []
    for lon, lat in degree_tiles(errand.place):
        stem = tile_stem(service.layout["stem"], lon, lat)
        try:
            tile = errand.ledger.whole_file(service, service.path.format(stem=stem))
        except AbsentError as error:
            missing.append(str(error))
            continue
        name = f"sources/dem_{stem.removeprefix('Copernicus_DSM_COG_10_').removesuffix('_DEM')}.tif"
        if cut_window(tile, errand.ledger.root / name, errand.place.grown(MARGIN)):
            names.append(name)
    if missing and not names:
        raise SourceError(missing[0])
    # The service keeps no tiles of the open sea.
    errand.notes.extend(f"dem: {line}; taken as open sea (or not released to the public)" for line in missing)
    date = (errand.ledger.dates(service) or [""])[-1]
    return _table("copernicus-dem", "dem", names, service, date) | {"vertical": service.layout["vertical"]}


def _features(word: str) -> Callable[[Errand], dict[str, Any]]:
    def bring(errand: Errand) -> dict[str, Any]:
        from ingest.fetch import overture

        ledger, service = errand.ledger, errand.service("overture").of_type(word)
        release, keys = overture_files(errand, word)
        parts: list[Path] = []
        for done, key in enumerate(keys):
            if ledger.tell:
                ledger.tell(f"{word} {release}", done, len(keys))
            try:
                parts += overture.fetch_rows(ledger, service, key, word, errand.place)
            except AbsentError as error:
                raise SourceError(
                    f"{error}; Overture keeps its last releases only: give --release, "
                    "or remove sources/originals/overture-stac"
                ) from error
        if ledger.tell:
            ledger.tell(f"{word} {release}", len(keys), len(keys))
        count = overture.write_features(parts, word, ledger.root / f"sources/{word}.geojson")
        if not count:
            (ledger.root / f"sources/{word}.geojson").unlink()
            raise _nothing(f"overture {release}", word)
        return _feature_table(f"overture-{word}", f"sources/{word}.geojson", service, release[:10])

    return bring


def overture_files(errand: Errand, word: str) -> tuple[str, list[str]]:
    """(release, keys of its files of a type that touch the place)."""
    from ingest.fetch import overture

    ledger, stac, service = errand.ledger, errand.service("overture-stac"), errand.service("overture").of_type(word)
    release = errand.wish.release or overture.latest_release(ledger, stac)
    index = ledger.whole_file(stac, stac.path.format(release=release))
    prefix = service.path.format(release=release, theme=service.layout["theme"], type=service.layout["type"])
    return release, overture.files_of(index, prefix, errand.place)


def _osm(word: str) -> Callable[[Errand], dict[str, Any]]:
    def bring(errand: Errand) -> dict[str, Any]:
        from ingest.fetch import osm

        ledger, service = errand.ledger, errand.service("openstreetmap").of_type(word)
        path = osm_extract(errand)
        extract = osm.bring_extract(ledger, service, path, errand.notes)
        file = f"sources/osm_{word}.geojson"
        if not osm.write_features(extract, word, errand.place, ledger.root / file):
            (ledger.root / file).unlink()
            raise _nothing(path, word)
        return _feature_table(f"osm-{word}", file, service, ledger.date_of(extract))

    return bring


def osm_extract(errand: Errand) -> str:
    """Path of the extract below its service: the one that is wished for, else by the service's index."""
    from ingest.fetch.osm import choose_extract

    service = errand.service("openstreetmap")
    if errand.wish.extract:
        return service.path.format(extract=errand.wish.extract)
    return choose_extract(errand.ledger.whole_file(service, str(service.layout["index"])), service, errand.place)


def _nothing(shown: str, word: str) -> EmptyError:
    """Buildings and roads are everywhere where people live; addresses are not."""
    remedy = "try osm-addresses, or declare a table of the city's own" if word == "addresses" else "check --bbox"
    return EmptyError(f"{shown}: no {word} in this place; {remedy}")


def _feature_table(name: str, path: str, service: Service, date: str) -> dict[str, Any]:
    said = service.layout
    table = _table(name, str(said["kind"]), [path], service, date)
    return table | {"columns": said["columns"], "values": said.get("values", {})}


def scenes_of(errand: Errand) -> list[Scene]:
    """The scenes that show the place best; SourceError where none does."""
    stac, ledger = errand.service("sentinel-stac"), errand.ledger
    box = ",".join(f"{v:g}" for v in errand.place.as_list())
    path = stac.path.format(bbox=box)
    if errand.wish.dates:
        first, last = errand.wish.dates.split("/")
        path += f"&datetime={first}T00:00:00Z/{last}T23:59:59Z"
    # The answer is kept like a file, so that a rerun chooses the same scenes.
    asked = hashlib.blake2b(path.encode(), digest_size=4).hexdigest()
    bring = lambda url, to: download(url, to, ledger.root, ledger.patience)  # noqa: E731
    answer = ledger.made(stac, path, f"items_{asked}.json", bring)
    scenes = choose_scenes(read_scenes(answer.read_bytes(), stac.url(path)), errand.place)
    if not scenes:
        raise SourceError(f"{stac.url(path)}: no scene shows this place; widen --dates")
    return scenes


def _imagery(errand: Errand) -> dict[str, Any]:
    from ingest.fetch.windows import cut_window

    service, ledger = errand.service("sentinel-2"), errand.ledger
    scenes = scenes_of(errand)
    names = []
    for scene in scenes:
        tile = ledger.whole_file(service, scene.path, scene.date[:4])
        name = f"sources/imagery_{scene.id}.tif"
        if cut_window(tile, ledger.root / name, errand.place.grown(MARGIN)):
            names.append(name)
    table = _table("sentinel-2", "imagery", names, service, max(scene.date for scene in scenes))
    years = ", ".join(sorted({scene.date[:4] for scene in scenes}))
    return table | {"attribution": service.attribution.format(year=years)}


def _table(name: str, kind: str, paths: list[str], service: Service, date: str) -> dict[str, Any]:
    if not paths:
        raise SourceError(f"{service.title}: the files that came do not show this place; check --bbox")
    return {
        "name": name,
        "kind": kind,
        "path": paths[0] if len(paths) == 1 else paths,
        "crs": service.layout.get("crs", ""),
        "licence": service.licence,
        "date": date,
        "accuracy": service.accuracy,
        "attribution": service.attribution,
        "lineage": f"twin fetch: {service.title}",
    }


KINDS: MappingProxyType[str, Callable[[Errand], dict[str, Any]]] = MappingProxyType(
    {
        "dem": _dem,
        "buildings": _features("buildings"),
        "roads": _features("roads"),
        "addresses": _features("addresses"),
        "imagery": _imagery,
        "osm-buildings": _osm("buildings"),
        "osm-roads": _osm("roads"),
        "osm-addresses": _osm("addresses"),
    }
)
