"""The L2 page: what it counts, whom it names, and that it needs nothing beside itself."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from models_l2.build import L2Options, build
from models_l2.report.drawing import histogram
from models_l2.report.facts import WORST, facts_of
from models_l2.report.page import l2_page
from tests.models_l2.conftest import FRAME
from twin.city import City
from twin.errors import MissingInputError, OptionsError
from twin.features import Layer
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.pipeline import write_pages
from twin.workers import Workers

WEST, SOUTH = 500_000.0, 4_430_000.0


@pytest.fixture
def city(city_with, slope) -> City:
    """Thirty houses: the first four under a surface model, one of them rough; two without a height; one too small."""
    x = WEST + 12.0 + 16.0 * np.arange(30)
    shapes = shapely.box(x, SOUTH + 20.0, x + 10.0, SOUTH + 30.0)
    shapes[29] = shapely.box(WEST + 480.0, SOUTH + 20.0, WEST + 480.1, SOUTH + 20.1)
    height = np.where(np.arange(30) < 4, np.nan, 9.0)
    height[[27, 28]] = np.nan
    city = city_with(shapes, height=height, name_en=["<b>"] * 30, function=["residential"] * 30)
    box = GeoBox.from_bounds((WEST, SOUTH, WEST + 70.0, SOUTH + 40.0), 1.0, city.frame)
    columns, rows = np.meshgrid(*box.centers())
    ground = slope.sample(np.column_stack([columns.ravel(), rows.ravel()]), "nearest").reshape(box.shape)
    inside = shapely.contains_xy(shapely.union_all(shapes[:4]), columns, rows)
    rough = np.where(columns > WEST + 60.0, 2.0 * (columns % 2.0 > 1.0), 0.0)
    surface = ground + np.where(inside, 8.0 + rough, 0.0)
    city.store.write_raster("dsm", Raster(surface.astype(np.float32), box), Lineage("test"))
    build(city, L2Options(), Workers())
    return city


def test_the_page_counts_every_building_once_and_names_those_that_deserve_a_look(city):
    facts = facts_of(city)
    table = city.store.read_layer("building_l2")
    assert facts.buildings == sum(facts.lods.values()) == 30
    assert len(facts.fit) == np.isfinite(table.column("fit_rmse")).sum() == 4
    assert len(facts.worst) == WORST
    assert facts.worst[0].told["oid"] == "b0029"
    assert facts.worst[0].solid is None
    measured = [worst.told["fit_rmse"] for worst in facts.worst[1:5]]
    assert measured == sorted(measured, reverse=True)
    assert all(len(worst.xyz) == len(worst.off) > 0 for worst in facts.worst[1:5])
    assert {status for (status, _), _ in facts.reasons} == {"fallback", "skipped"}
    page = l2_page(city)
    assert all(worst.told["oid"] in page for worst in facts.worst)


def test_the_page_counts_the_other_classes_too(city):
    road = shapely.LineString([(WEST + 5.0, SOUTH + 60.0), (WEST + 300.0, SOUTH + 60.0)])
    city.store.write_layer("road", Layer.build("road", FRAME, ["r"], [road], {"width": [8.0]}), Lineage("test"))
    stems = shapely.points([(WEST + 17.0, SOUTH + 25.0), (WEST + 20.0, SOUTH + 90.0)])
    city.store.write_layer("tree", Layer.build("tree", FRAME, ["t1", "t2"], stems), Lineage("test"))
    build(city, L2Options(), Workers())
    page = l2_page(city)
    assert [row for row in re.findall(r"<tr>.*?</tr>", page) if "roads" in row and ">1<" in row and "m²" in row]
    assert [row for row in re.findall(r"<tr>.*?</tr>", page) if "a usual height" in row and ">1<" in row]
    assert [row for row in re.findall(r"<tr>.*?</tr>", page) if "stem lies in a building" in row and ">1<" in row]


def test_the_page_is_well_formed_the_same_each_time_and_loads_nothing(city):
    page = l2_page(city)
    assert page == l2_page(city)
    assert not re.search(r"https?://|src=|<script|<link|url\(", page)
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 2 * WORST + 1
    for picture in pictures:
        ElementTree.fromstring(picture)


def test_the_histogram_holds_all_buildings():
    drawn = histogram(np.array([0.01, 0.05, 0.06, 5.0]), "t")
    assert re.findall(r">(\d+)</text>", drawn) == ["2", "1", "1"]


def test_pages_are_written_beside_the_declaration_for_what_there_is(city, city_with, tmp_path):
    assert [path.name for path, _ in write_pages(city)] == ["l2.html"]
    assert (city.root / "l2.html").read_text(encoding="utf-8") == l2_page(city)
    path = tmp_path / "mine.html"
    assert [found for found, _ in write_pages(city, "l2", path)] == [path]
    with pytest.raises(OptionsError, match="there is no folder"):
        write_pages(city, "l2", Path(tmp_path / "nowhere" / "x.html"))
    with pytest.raises(MissingInputError, match="twin ingest"):
        write_pages(city_with(shapely.box([WEST], SOUTH, WEST + 9.0, SOUTH + 9.0), name="bare"))
