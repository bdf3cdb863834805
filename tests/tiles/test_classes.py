from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely

import twin
from tests.tiles.scenes import DATONG, boxes
from tests.tiles.test_publish import LINEAGE, TOML
from tiles.cityjson.templates import PROFILES
from tiles.cityjson.templates import boxes as models
from tiles.classes.build import SOURCES
from tiles.classes.prototypes import prototype
from tiles.classes.scatter import Spread, scatter, stable_hash
from tiles.gltf import glb, metadata
from tiles.options import ClassTiles
from tiles.publish import TileOptions, build
from tiles.validity import check_tiles
from twin.features import Layer, objects
from twin.meshes import Solids, Surface
from twin.pipeline import stage_of
from twin.workers import Workers

QUICK = TileOptions(classes=ClassTiles(inner_bytes=10_000, leaf_bytes=10_000))
X, Y, Z = DATONG.origin


def tree_layer(n=900, seed=7, name="tree_l2"):
    rng = np.random.default_rng(seed)
    place = np.column_stack([X, Y]) + rng.uniform(-800.0, 800.0, (n, 2))
    height = np.round(rng.gamma(4.0, 2.0, n) + 2.0, 2)
    return Layer.build(
        name, DATONG, objects([f"t{k:05d}" for k in range(n)]), objects(shapely.points(place)),
        {
            "name": objects([""] * n), "species": objects(["国槐"] * n),
            "leaf": objects(rng.choice(["broadleaf", "conifer", ""], n).tolist()),
            "height": height, "crown": height * rng.uniform(0.2, 0.9, n),
            "evidence": objects(["surveyed"] * n),
            "base_z": np.where(np.arange(n) == 3, np.nan, Z + rng.uniform(0, 9, n)),
        },
    )  # fmt: skip


def furniture_layer():
    kinds = ["street_lamp", "hydrant", "manhole", "巡查亭"]
    n = len(kinds)
    return Layer.build(
        "furniture_l2", DATONG, objects([f"f{k}" for k in range(n)]),
        objects([shapely.Point(X + 10.0 * k, Y) for k in range(n)]),
        {
            "name": objects([""] * n), "kind": objects(kinds), "model": objects([*kinds[:3], "column"]),
            "height": [8.0, 0.8, 0.0, 2.0], "heading": [90.0, 0.0, 0.0, 10.0], "base_z": [Z] * n,
            "evidence": objects(["usual"] * n), "heading_evidence": objects(["road"] * n),
        },
    )  # fmt: skip


def strips(n=120):
    """Strips of ground from narrow to wide, the even ones roads, each two triangles."""
    width = np.linspace(1.0, 30.0, n)
    west, south = X + 35.0 * (np.arange(n) % 12), Y + 120.0 * (np.arange(n) // 12)
    corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    size = np.column_stack([width, np.full(n, 100.0)])
    xy = np.column_stack([west, south])[:, None] + corner[None] * size[:, None]
    vertices = np.concatenate([xy, np.full((n, 4, 1), Z)], axis=2).reshape(-1, 3)
    faces = (np.array([[0, 1, 2], [0, 2, 3]])[None] + 4 * np.arange(n)[:, None, None]).reshape(-1, 3)
    blank = objects([""] * n)
    return Solids(
        DATONG, objects([f"s{k:03d}" for k in range(n)]), vertices, faces.astype(np.int32),
        np.full(2 * n, Surface.OTHER, np.uint8), np.arange(n + 1) * 4, np.arange(n + 1) * 2, np.full(n, 10, np.uint8),
        np.zeros(2 * n, np.uint8),
        {
            "class": objects(["road", "green"] * (n // 2)), "name": blank, "evidence": blank,
            "bridge": objects(["1" if k == 4 else "" for k in range(n)]),
        },
    )  # fmt: skip


def make_city(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(TOML, encoding="utf-8")
    city = twin.open(folder)
    city.store.write_layer("tree_l2", tree_layer(), LINEAGE)
    city.store.write_layer("furniture_l2", furniture_layer(), LINEAGE)
    ground = strips()
    halves = [("a", ground.take(range(0, 120, 2))), ("b", ground.take(range(1, 120, 2)))]
    city.store.write_model("surfaces", halves, LINEAGE)
    tube = boxes([[X, Y, Z - 2.0]], [[X + 40.0, Y + 0.3, Z - 1.7]], oid=["p1~2"])
    told = {"owner": objects(["p1"]), "medium": objects(["gas"]), "diameter_mm": np.array([300.0])}
    plain = np.full(len(tube.faces), Surface.OTHER, np.uint8)
    city.store.write_model("pipes", [("a", replace(tube, attributes=told, surface=plain))], LINEAGE)
    return city


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = make_city(tmp_path_factory.mktemp("classes"))
    city.store.write_document("seen", build(city, QUICK, Workers(1)).as_dict())
    return city


def walk(tile):
    yield tile
    for child in tile.get("children", []):
        yield from walk(child)


def tiles_of(city, name):
    """(tile, its matrix to Earth-centred, its opened content) of every tile of a tileset."""
    home = city.store.current_tiles()[1] / name
    root = json.loads((home / "tileset.json").read_bytes())["root"]

    def below(tile, above):
        own = above @ np.array(tile.get("transform", np.eye(4).T.reshape(-1))).reshape(4, 4).T
        yield tile, own, glb.read(home / tile["content"]["uri"])
        for child in tile.get("children", []):
            yield from below(child, own)

    return list(below(root, np.eye(4)))


def spread_out(gltf):
    """(row of the table, corners (v, 3) in tile axes, foot (3,)) of every instance, by the words of the extension."""
    for node in gltf.document["nodes"]:
        told = node["extensions"]["EXT_mesh_gpu_instancing"]["attributes"]
        shift, turn, scale = (gltf.normalized(told[key]) for key in ("TRANSLATION", "ROTATION", "SCALE"))
        mesh = gltf.document["meshes"][node["mesh"]]["primitives"][0]
        corners = gltf.accessor(mesh["attributes"]["POSITION"]).astype(float)
        for k, row in enumerate(gltf.accessor(told["_FEATURE_ID_0"]).tolist()):
            matrix = glb.node_matrix({"translation": shift[k], "rotation": turn[k], "scale": scale[k]})
            placed = corners @ matrix[:3, :3].T + matrix[:3, 3]
            yield row, placed[:, [0, 2, 1]] * [1, -1, 1], shift[k][[0, 2, 1]] * [1, -1, 1]


def test_everything_published_passes_its_check(city):
    report = check_tiles(city)
    assert report.outcomes == ()
    assert [report.figures[f"{name}_objects"] for name in ("surfaces", "pipes", "trees", "furniture")] == [
        120,
        1,
        899,
        4,
    ]


def test_what_stands_on_no_known_ground_is_named(city):
    outcomes = city.store.read_document("seen")["outcomes"]
    assert [(o["oid"], o["status"]) for o in outcomes] == [("t00003", "skipped")]


def test_every_tree_stands_once_where_it_should_and_lies_in_its_boxes(city):
    layer = city.store.read_layer("tree_l2")
    row_of, seen = layer.index(), {}
    place = shapely.get_coordinates(layer.geometry)
    for tile, axes, gltf in tiles_of(city, "trees"):
        columns = metadata.read_table(gltf)
        box = np.array(tile["content"].get("boundingVolume", tile["boundingVolume"])["box"])
        half = np.diag(box[3:].reshape(3, 3))
        for row, corners, foot in spread_out(gltf):
            oid = columns["oid"][row]
            assert oid not in seen
            assert (np.abs(corners - box[:3]) <= half + 1e-3).all()
            at = row_of[oid]
            truth = DATONG.to_ecef([[*place[at], layer.column("base_z")[at]]])[0]
            assert np.linalg.norm(axes[:3, :3] @ foot + axes[:3, 3] - truth) < 0.01
            height, crown = layer.column("height")[at], layer.column("crown")[at]
            assert np.ptp(corners[:, 2]) == pytest.approx(height, abs=0.01)
            assert np.hypot(*(corners - foot)[:, :2].T).max() == pytest.approx(crown / 2.0, abs=0.01)
            assert columns["height"][row] == pytest.approx(height, rel=1e-6)
            seen[oid] = tile
    assert len(seen) == 899
    assert {str(model) for _, _, gltf in tiles_of(city, "trees") for model in metadata.read_table(gltf)["leaf"]} == {
        "broadleaf", "conifer", "unknown",
    }  # fmt: skip


def test_a_tile_of_trees_declares_the_largest_that_it_leaves_out(city):
    layer = city.store.read_layer("tree_l2")
    size = dict(
        zip(layer.oid.tolist(), np.maximum(layer.column("height"), layer.column("crown")).tolist(), strict=True)
    )
    every = tiles_of(city, "trees")
    contents = {id(tile): metadata.read_table(gltf)["oid"].tolist() for tile, _, gltf in every}
    assert len(every) > 4
    for tile, _, _ in every:
        below = [oid for child in tile.get("children", []) for t in walk(child) for oid in contents[id(t)]]
        assert tile["geometricError"] >= max((size[oid] for oid in below), default=0.0)
        assert not below or min(size[oid] for oid in contents[id(tile)]) >= max(size[oid] for oid in below)


def test_furniture_faces_where_it_looks(city):
    ((_, axes, gltf),) = tiles_of(city, "furniture")
    columns = metadata.read_table(gltf)
    found = {columns["kind"][row]: (corners, foot) for row, corners, foot in spread_out(gltf)}
    corners, foot = found["street_lamp"]
    arm = corners[np.argmax(np.hypot(*(corners - foot)[:, :2].T))] - foot
    east = DATONG.to_ecef([[X, Y, Z], [X + 10.0, Y, Z]]) @ axes[:3, :3]
    along = (east[1] - east[0])[:2] / 10.0
    assert arm[:2] @ along == pytest.approx(1.7, abs=0.02)
    assert abs(arm[:2] @ [-along[1], along[0]]) < 0.15
    assert 0.0 < np.ptp(found["manhole"][0][:, 2]) + found["manhole"][0][0, 2] - found["manhole"][1][2] < 0.1
    assert columns["heading_evidence"].tolist() == ["road"] * 4
    assert "巡查亭" in found


def test_surfaces_carry_their_class_and_lie_above_the_ground_they_cover(city):
    every = tiles_of(city, "surfaces")
    columns = [metadata.read_table(gltf) for _, _, gltf in every]
    oids = [oid for table in columns for oid in table["oid"].tolist()]
    assert sorted(oids) == sorted(strips().oid.tolist())
    kind = {oid: word for table in columns for oid, word in zip(table["oid"], table["class"], strict=True)}
    assert (kind["s000"], kind["s001"]) == ("road", "green")
    assert [oid for t in columns for oid, deck in zip(t["oid"], t["bridge"], strict=True) if deck] == ["s004"]
    area = {oid: m2 for table in columns for oid, m2 in zip(table["oid"], table["area"], strict=True)}
    assert area["s119"] == pytest.approx(3000.0, rel=1e-3)
    _, axes, gltf = every[0]
    (matrix, primitive), *_ = gltf.primitives()
    points = gltf.normalized(primitive["attributes"]["POSITION"]) @ matrix[:3, :3].T + matrix[:3, 3]
    up = points[:, [0, 2, 1]] * [1, -1, 1] @ axes[:3, :3].T + axes[:3, 3]
    at = DATONG.to_ecef([[X, Y, Z]])[0]
    assert ((up - at) @ (at / np.linalg.norm(at))).max() == pytest.approx(0.3, abs=0.05)


def test_wide_surfaces_come_before_narrow_ones(tmp_path):
    width = np.linspace(30.0, 1.0, 60)
    rng = np.random.default_rng(1)
    spread = Spread(rng.uniform(0, 900, (60, 2)), width, np.full(60, 100.0), width, np.arange(60, dtype=np.uint64))
    root = scatter(spread, 1000.0, 1000.0)
    assert root.rows.tolist() == list(range(10))
    assert root.error == np.ceil(width[10] * 2.0) / 2.0
    assert sorted(row for node in root.walk() for row in node.rows.tolist()) == list(range(60))
    turned = rng.permutation(60)
    other = scatter(Spread(*(getattr(spread, key)[turned] for key in Spread.__slots__)), 1000.0, 1000.0)
    same = [sorted(turned[node.rows].tolist()) for node in other.walk()]
    assert same == [node.rows.tolist() for node in root.walk()]


def test_a_pipe_built_in_pieces_is_one_pipe(city):
    ((_, _, gltf),) = tiles_of(city, "pipes")
    columns = metadata.read_table(gltf)
    assert (columns["oid"].tolist(), columns["medium"].tolist()) == (["p1"], ["gas"])
    assert columns["diameter"][0] == 300.0


def test_a_hash_depends_on_the_word_alone():
    words = objects(["a", "ab", "国槐", ""])
    alone = [stable_hash(objects([word]))[0] for word in words.tolist()]
    assert stable_hash(words).tolist() == alone
    assert len(set(alone)) == 4
    shares = np.bincount((stable_hash(objects([f"t{k}" for k in range(4000)])) % np.uint64(4)).astype(int)) / 4000
    assert shares == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("model", [*PROFILES, *models(), "manhole", "never drawn"])
def test_a_prototype_stands_on_its_foot_and_faces_outward(model):
    mesh = prototype(model)
    corners = mesh.positions[mesh.triangles].astype(float)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.linalg.norm(cross, axis=1) > 0).all()
    assert mesh.positions[:, 1].min() == pytest.approx(0.0, abs=0.04)
    assert ((cross[:, None] * mesh.normals[mesh.triangles]).sum(axis=2) > 0).all()
    if model != "manhole":
        assert mesh.positions[:, 1].max() == 1.0
        assert np.einsum("ij,ij->i", corners[:, 0], cross).sum() > 0
    assert len(mesh.triangles) <= 80


def test_tiles_are_out_of_date_when_a_class_changes():
    assert set(SOURCES.values()) <= set(stage_of("tiles").reads)
