"""The implicit tileset of a town: the same vertices at the same places as the explicit one, and no fault."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiles.scenes import DATONG, town
from tests.tiles.test_publish import LINEAGE, QUICK, make_city
from tiles.archive.cut import published_members
from tiles.archive.threetz import write_3tz
from tiles.checks.contents import read_gltf
from tiles.checks.findings import Findings
from tiles.publish import build
from tiles.reading.openers import Folder
from tiles.scheme import implicit
from tiles.scheme.tree import Content, Tile
from tiles.shelf import digest
from tiles.validity import check_tiles, check_tileset
from tiles.walk.state import Walk
from tiles.walk.tileset import walk_tileset
from twin.workers import Workers

IMPLICIT = replace(QUICK, models=replace(QUICK.models, scheme="implicit"))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = make_city(tmp_path_factory.mktemp("implicit"), 1200)
    with Workers(2) as workers:
        build(city, IMPLICIT, workers)
    return city


def entry_of(city):
    told = json.loads((city.store.current_tiles()[1] / "build.json").read_bytes())
    return told["tilesets"][0]


def vertices(document):
    """What every tile shows, Earth-centred: (error of the tile, vertices (n, 3)), in one order."""
    walk = Walk(Findings("test"), Folder(str(document)))
    walk_tileset(walk.opener.start, walk)
    assert walk.found.faults == []
    shown = []
    for job in walk.jobs:
        gltf = read_gltf(walk.opener.read(job.name).data, job.name, job.name, walk.opener)
        for matrix, primitive in gltf.primitives():
            points = gltf.accessor(primitive["attributes"]["POSITION"]).astype(np.float64)
            points = points @ matrix[:3, :3].T + matrix[:3, 3]
            upright = np.column_stack([points[:, 0], -points[:, 2], points[:, 1]])
            shown.append((walk.nodes[job.tile].error, upright @ job.world[:3, :3].T + job.world[:3, 3]))
    return sorted(shown, key=lambda told: (told[0], len(told[1]), *np.round(told[1].mean(axis=0))))


def test_both_tilesets_show_the_same_vertices(city):
    folder, entry = city.store.current_tiles()[1], entry_of(city)
    explicit, hidden = (vertices(folder / entry[key]) for key in ("explicit", "url"))
    assert entry["url"] == "l2/implicit.json"
    assert len(explicit) == len(hidden) > 12
    for (error, points), (same, there) in zip(explicit, hidden, strict=True):
        assert error == same
        assert np.abs(points - there).max() < 1e-3


def test_an_implicit_tileset_of_ours_has_no_fault(city):
    entry = entry_of(city)
    report = check_tiles(city)
    assert report.outcomes == ()
    assert report.figures["l2_objects"] == 1200
    assert report.figures["implicit_tiles"] == entry["implicit"]["squares"] >= entry["implicit"]["tiles"] > 8
    assert check_tileset(city.store.current_tiles()[1] / entry["url"]).outcomes == ()


def test_the_outermost_document_has_the_schema_of_its_branches(city):
    folder = city.store.current_tiles()[1]
    outermost = json.loads((folder / entry_of(city)["url"]).read_bytes())
    branches = [json.loads(path.read_bytes()) for path in sorted(folder.glob("l2/branches/*/tileset.json"))]
    assert len(branches) == entry_of(city)["implicit"]["branches"] > 1
    assert all(branch["schema"] == outermost["schema"] for branch in branches)


def test_what_is_drawn_is_a_link_to_the_shelf(city):
    folder = city.store.current_tiles()[1]
    files = sorted(folder.glob("l2/branches/*/content/**/*.glb"))
    shelf = {path.stat().st_ino for path in (folder.parent / "content").glob("*/*.glb")}
    assert 8 < len(files) == entry_of(city)["implicit"]["tiles"] < entry_of(city)["tiles"]
    assert {file.stat().st_ino for file in files} <= shelf


def test_an_archive_gets_the_tileset_that_names_every_tile(city, tmp_path):
    write_3tz(city, tmp_path / "town.3tz")
    report = check_tileset(tmp_path / "town.3tz", khronos=False)
    assert report.outcomes == ()
    assert "implicit_tiles" not in report.figures


def test_a_package_tells_of_the_tileset_that_it_holds(city, tmp_path):
    version, folder = city.store.current_tiles()
    members = {member.name: member for member in published_members(version, folder, None, city.store, tmp_path)}
    told = json.loads(members[f"tiles/{version}/build.json"].source)["tilesets"][0]
    assert told["url"] == "l2/tileset.json"
    assert f"tiles/{version}/l2/tileset.json" in members
    assert not {"explicit", "implicit"} & told.keys()


def test_a_change_keeps_the_contents_that_it_does_not_touch(tmp_path):
    city = make_city(tmp_path / "changed", 1200)
    build(city, IMPLICIT, Workers(1))
    before = names_of(city)
    solids = town(1200, side=1500.0)
    vertices = solids.vertices.copy()
    vertices[solids.vertex_offset[5] + 4 : solids.vertex_offset[6], 2] += 1.0
    solids = replace(solids, vertices=vertices)
    city.store.write_model("l2", [("a", solids.take(range(600))), ("b", solids.take(range(600, 1200)))], LINEAGE)
    build(city, IMPLICIT, Workers(1))
    changed = names_of(city) - before
    assert 0 < len(changed) <= entry_of(city)["levels"] < len(before) / 2


def names_of(city):
    """Hashes of what the implicit tiles show."""
    folder = city.store.current_tiles()[1]
    return {digest(path.read_bytes()) for path in folder.glob("l2/branches/*/content/**/*.glb")}


def test_siblings_that_crowd_ever_closer_do_not_make_it_deep():
    layout = implicit.laid_out(crowd([(7500.0 / 2.0**k - 5000.0, -4990.0) for k in range(10)]))
    assert layout is not None
    assert (layout.even, layout.levels()) == (True, 3)
    deep = crowd([(0.0, 0.0)])
    for _ in range(12):
        deep = replace(deep, children=(deep,))
    assert implicit.laid_out(deep) is None


def files_of(city):
    home = (city.store.current_tiles()[1] / "l2").resolve()
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*.*"))}


def test_the_bytes_do_not_depend_on_the_workers(city, tmp_path):
    again = make_city(tmp_path / "again", 1200)
    build(again, IMPLICIT, Workers(1))
    assert files_of(again) == files_of(city)


def test_a_city_of_many_tiles_gets_the_implicit_tileset_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("tiles.publish._MOST_EXPLICIT", 1)
    city = make_city(tmp_path / "many", 300)
    build(city, QUICK, Workers(1))
    assert entry_of(city)["url"] == "l2/implicit.json"


def crowd(middles, below=()):
    """A tile of ten kilometres over tiles of ten metres, which all have `below`."""
    axes = DATONG.enu_at(*DATONG.origin)

    def content(name, x, y, half):
        matrix = axes.copy()
        matrix[:3, 3] += axes[:3, :2] @ [x, y]
        low, high = (-half, -half, 0.0), (half, half, 10.0)
        return Content(name, 0, 0, tuple(matrix.T.reshape(-1).tolist()), low, high, 1, 1)

    around = [Tile(4.0, content(f"{k}", x, y, 5.0), below) for k, (x, y) in enumerate(middles)]
    return Tile(8.0, content("all", 0.0, 0.0, 5000.0), tuple(around))


PLACES = st.floats(-6000.0, 6000.0, allow_nan=False)


@given(st.lists(st.tuples(PLACES, PLACES) | st.just((7.0, 7.0)), min_size=1, max_size=40), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_tile_has_a_square_below_that_of_the_tile_it_replaces(middles, more):
    inner = crowd([(float(k), 0.0) for k in range(more)]).children
    root = crowd(middles, inner)
    layout = implicit.laid_out(root)
    assert layout is not None
    assert layout.levels() <= 9
    drawn = [(place, node.tile.content) for place, node in layout.drawn.items()]
    assert [content for _, content in drawn].count(root.content) == 1
    assert len(drawn) == sum(1 for _ in root.walk())
    above = {(0, 0, 0): None}
    for level, x, y in list(layout.drawn)[1:]:
        places = [(level - up, x >> up, y >> up) for up in range(1, level + 1)]
        assert all(place in layout.spots for place in places)
        above[level, x, y] = next(layout.drawn[p].tile.content for p in places if p in layout.drawn)
    parents = {id(child.content): tile.content for tile in root.walk() for child in tile.children}
    if not more:
        assert all(above[place] is parents[id(content)] for place, content in drawn[1:])
    for (level, x, y), spot in layout.spots.items():
        if not spot.drawn:
            up = next(
                layout.spots[level - k, x >> k, y >> k]
                for k in range(1, level + 1)
                if layout.spots[level - k, x >> k, y >> k].drawn
            )
            assert (spot.error, spot.box.tolist()) == (up.error, up.box.tolist())
