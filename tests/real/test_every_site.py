"""Every site of the shared data that has buildings, from its declaration to a checked L2 model and its page.

Delft and Goteborg go through the whole recipe in `test_examples.py`. Sets without buildings end in one clear line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
from affine import Affine
from rasterio.windows import from_bounds

from tests.real.test_every_set import ROWS, Row, opened, source
from twin import pipeline
from twin.city import City, open_city
from twin.errors import MissingInputError
from twin.meshes import concatenate
from twin.outcome import Report
from twin.workers import Workers

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Site:
    """A set as a user declares it, and what its L2 report has to say.

    row       row of test_every_set that declares it
    ground    what the relief is made from
    figures   figures of the report
    notice    words that the page says of the ground; "" where it says nothing
    window    bounds in the file's own CRS that its first source is cut to, to be quick
    tiles     whether tiles are published too
    """

    row: Row
    ground: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    notice: str = ""
    window: tuple[float, float, float, float] | None = None
    toml: str = ""
    tiles: bool = True


def row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


BETWEEN = "interpolated between the bases"
LEVEL = "level ground at 0 m is assumed"
BOTH = Row("delft twice", ".", (
    source("footprints", "delft-ahn3-bgt/bgt/bgt_pand.sqlite", "EPSG:28992", columns={"source_id": "gml_id"}),
    source("citymodel", "cityjson/delft.json")), "EPSG:28992")  # fmt: skip

SITES = (
    Site(row("munich"), "dem", {"buildings": 1, "evidence_model": 1, "models_as_surfaces": 1},
         window=(690_800.0, 5_336_000.0, 691_200.0, 5_336_200.0)),
    Site(row("nycu"), "assumed", {"buildings": 319, "evidence_surveyed": 274, "evidence_neighbours": 45}, LEVEL),
    Site(row("suzhou"), "assumed", {"buildings": 120, "evidence_surveyed": 120}, LEVEL,
         (120.600, 31.300, 120.604, 31.304)),
    Site(row("bdtopo"), "bases", {}, BETWEEN, (663_500.0, 6_359_500.0, 664_500.0, 6_360_500.0)),
    Site(row("cityjson delft"), "bases", {"buildings": 160, "relief_bases": 157}, BETWEEN),
    Site(row("cityjson levels"), "bases", {"buildings": 10, "evidence_model": 10, "relief_bases": 10}, BETWEEN),
    Site(row("cityjson rotterdam"), "assumed", {"buildings": 16, "models_as_surfaces": 16}, LEVEL),
    Site(row("cityjson zurich"), "bases", {"buildings": 49, "evidence_model": 49}, BETWEEN, tiles=False),
    Site(row("ingolstadt"), "bases", {"buildings": 3, "models_as_surfaces": 3}, BETWEEN),
    Site(row("plateau buildings"), "bases", {"buildings": 13, "evidence_model": 2}, BETWEEN),
    Site(row("satellite"), "assumed", {"buildings": 71, "evidence_default": 71}, LEVEL),
    Site(BOTH, "bases", {"buildings": 320, "solids": 160, "modelled_by_another": 160}, BETWEEN,
         toml="[l2.imported]\nlod = 1.0\n"),
)  # fmt: skip


def cut(found: Row, window: tuple[float, float, float, float], data: Path, folder: Path) -> Row:
    """The row with its first source cut to a window, written beside the city."""
    first = found.sources[0]
    if first["kind"] == "dem":
        paths = [cut_sheet(path, window, folder) for path in sorted((data / found.folder).glob(first["path"]))]
        return replace(found, sources=(first | {"path": paths}, *found.sources[1:]))
    path = folder / "window.gpkg"
    meta, _, geometry, fields = pyogrio.raw.read(data / found.folder / first["path"], bbox=window, encoding="utf-8")
    pyogrio.raw.write(path, geometry, fields, meta["fields"], driver="GPKG", crs=meta["crs"] or "EPSG:4326",
                      geometry_type=meta["geometry_type"])  # fmt: skip
    return replace(found, sources=(first | {"path": str(path), "encoding": ""}, *found.sources[1:]))


def cut_sheet(path: Path, window: tuple[float, float, float, float], folder: Path) -> str:
    """The part of a sheet of heights inside a window."""
    with rasterio.open(path) as sheet:
        west, south, east, north = (f(a, b) for f, a, b in zip((max, max, min, min), sheet.bounds, window, strict=True))
        part = from_bounds(west, south, east, north, sheet.transform)
        (dx, dy), (ny, nx) = sheet.res, (round(part.height), round(part.width))
        profile = {"width": nx, "height": ny, "transform": Affine(dx, 0.0, west, 0.0, -dy, north)}
        with rasterio.open(folder / path.name, "w", **(sheet.profile | profile)) as out:
            out.write(sheet.read(window=part))
    return str(folder / path.name)


def declared(site: Site, data: Path, folder: Path) -> City:
    found = cut(site.row, site.window, data, folder) if site.window else site.row
    opened(found, data, folder)
    with (folder / "city.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + site.toml)
    return open_city(folder)


def counts_add_up(report: Report, city: City) -> None:
    table = city.store.read_layer("building_l2")
    assert set(table.oid.tolist()) == set(city.store.read_layer("building").oid.tolist())
    for status in ("done", "fallback", "skipped", "failed"):
        assert report.count(status) == int((table.column("outcome") == status).sum()), status
    by = table.columns["modelled_by"]
    known = set(table.oid[np.isfinite(table.column("lod"))].tolist())
    assert set(by[by != ""].tolist()) <= known
    assert len(known) == report.figures["solids"]
    assert len(table) == len(known) + int((by != "").sum()) + report.count("skipped") + report.count("failed")


def solids_are_valid_or_flagged(city: City) -> None:
    solids = concatenate([batch for _, batch in city.store.read_model("l2")])
    table = city.store.read_layer("building_l2")
    reason = dict(zip(table.oid.tolist(), table.columns["reason"].tolist(), strict=True))
    broken = solids.oid[~solids.is_closed() | (solids.volumes() <= 0.0)].tolist()
    assert all("kept as surfaces" in reason[oid] for oid in broken)
    assert len(set(solids.oid.tolist())) == len(solids)


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.row.name)
def test_a_site_becomes_an_l2_model_that_passes_the_check_and_has_its_page(site, data, tmp_path):
    city = declared(site, data, tmp_path)
    with Workers(1) as workers:
        reports = pipeline.run(city, workers, only=("ingest", "l2", *(["tiles"] if site.tiles else [])))
        checked = pipeline.check(city, workers)
    assert not any(report.failed for report in (*reports, *checked))
    l2 = next(report for report in reports if report.stage == "l2")
    assert l2.figures["relief_source"] == site.ground
    assert {name: l2.figures[name] for name in site.figures} == dict(site.figures)
    counts_add_up(l2, city)
    solids_are_valid_or_flagged(city)
    assert {path.name for path, _ in pipeline.write_pages(city)} == {"quality.html", "l2.html"}
    page = (tmp_path / "l2.html").read_text("utf-8")
    assert ('class="notice"' in page) == bool(site.notice)
    assert site.notice in page


def test_the_ground_of_olemps_is_where_its_own_column_says(data, tmp_path):
    site = next(site for site in SITES if site.row.name == "bdtopo")
    city = declared(site, data, tmp_path)
    with Workers(1) as workers:
        pipeline.run(city, workers, only=("ingest", "l2"))
    table = city.store.read_layer("building_l2")
    meta, _, _, fields = pyogrio.raw.read(tmp_path / "window.gpkg", columns=["ID", "Z_MIN_SOL"], read_geometry=False)
    told = dict(zip(*(fields[list(meta["fields"]).index(name)].tolist() for name in ("ID", "Z_MIN_SOL")), strict=True))
    off = table.column("ground_z") - np.array([told[name] for name in table.column("source_id").tolist()])
    # The outlines carry the roof edge: ground is that less the height. Z_MIN_SOL is the lowest ground at the building.
    assert np.nanmedian(np.abs(off)) < 0.5
    assert np.nanpercentile(np.abs(off), 95) < 3.0


@pytest.mark.parametrize("name", ["zion", "autzen", "city3d", "ecuador", "shenzhen", "houses"])
def test_a_set_without_buildings_ends_in_one_line_that_says_what_to_declare(name, data, tmp_path):
    city = opened(row(name), data, tmp_path)
    with Workers(1) as workers:
        pipeline.run(city, workers, only=("ingest",))
        with pytest.raises(MissingInputError, match=r"no layer 'building'; declare a \[\[source\]\]"):
            pipeline.run(city, workers, only=("l2",))
