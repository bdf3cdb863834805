from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace

import brotli
import numpy as np
import pytest

from tests.tiles.scenes import DATONG, boxes, town
from tiles import glb, metadata, models, scheme
from tiles.models import blocks, build_tileset
from tiles.options import ModelTiles
from tiles.validity import check_tileset
from twin.features import objects
from twin.meshes import material_code
from twin.workers import Workers

SMALL = ModelTiles(root_bytes=10_000, inner_bytes=12_000, leaf_bytes=20_000)


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def oids_of(folder):
    return [metadata.read_table(glb.read(p))["oid"].tolist() for p in sorted(folder.rglob("*.glb"))]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    told = build_tileset(blocks(town(900), None, frozenset({"b000007"})), folder, "v1", SMALL, Workers(1))
    return folder / "l2", told


def test_every_building_is_in_exactly_one_tile(built):
    folder, told = built
    names = sorted(oid for oids in oids_of(folder) for oid in oids)
    assert names == sorted(town(900).oid.tolist())
    assert told["tiles"] > 5


def test_a_tileset_of_ours_has_no_fault(built):
    report = check_tileset(built[0])
    assert report.outcomes == ()
    assert report.figures["features"] == 900


def test_errors_fall_from_the_root_to_nothing_at_the_leaves(built):
    document = json.loads((built[0] / "tileset.json").read_bytes())

    def walk(tile, above):
        assert tile["geometricError"] <= above
        assert (tile["geometricError"] == 0) == ("children" not in tile)
        for child in tile.get("children", []):
            walk(child, tile["geometricError"])

    walk(document["root"], document["geometricError"])
    assert document["root"]["refine"] == "ADD"
    assert document["asset"] == {"version": "1.1", "tilesetVersion": "v1"}


def test_the_root_shows_the_tallest(built):
    tallest = town(900).oid[np.argsort(-town(900).attributes["height"])[:10]]
    root = metadata.read_table(glb.read(built[0] / "0/0_0.glb"))
    assert set(tallest.tolist()) <= set(root["oid"].tolist())
    assert "has_l3" in root


def test_an_error_is_never_less_than_what_is_missed():
    rng = np.random.default_rng(2)
    n = 400
    items = scheme.Items(rng.uniform(0, 1000, (n, 2)), rng.uniform(2, 90, n), np.full(n, 100.0), rng.uniform(0, 1, n))
    root = scheme.quadtree(items, scheme.Budget(2000.0, 2000.0, 3000.0))

    def below(node):
        return np.concatenate([np.concatenate([c.rows, below(c)]) for c in node.children] or [np.zeros(0, int)])

    for node in root.walk():
        missed = below(node)
        assert node.error >= (items.sizes[missed].max() if len(missed) else 0.0)
    placed = np.concatenate([node.rows for node in root.walk()])
    assert sorted(placed.tolist()) == list(range(n))


def test_objects_at_one_point_do_not_split_for_ever():
    n = 3000
    items = scheme.Items(np.zeros((n, 2)), np.ones(n), np.full(n, 1000.0), np.ones(n))
    root = scheme.quadtree(items, scheme.Budget(10_000.0, 10_000.0, 10_000.0))
    assert max(node.level for node in root.walk()) <= 20
    assert sum(len(node.rows) for node in root.walk()) == n


def test_the_same_bytes_whatever_the_workers(tmp_path):
    for n in (1, 2):
        with Workers(n) as workers:
            build_tileset(blocks(town(400), None, frozenset()), tmp_path / str(n), "v", SMALL, workers)
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_the_order_of_the_model_does_not_matter(tmp_path):
    shuffled = town(300).take(np.random.default_rng(1).permutation(300))
    for name, solids in (("a", town(300)), ("b", shuffled)):
        build_tileset(blocks(solids, None, frozenset()), tmp_path / name, "v", SMALL, Workers(1))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def heritage():
    """Two halls of three parts each, ten kilometres from the frame's origin, tiled roofs and glazed ones."""
    x, y, z = DATONG.origin
    low = np.array([[x + 9000 + 40 * h, y, z + 3 * p] for h in range(2) for p in range(3)])
    parts = boxes(
        low,
        low + np.array([30.0, 20.0, 3.0]),
        oid=[f"hall{h}/p{p}" for h in range(2) for p in range(3)],
        owner=objects([f"hall{h}" for h in range(2) for _ in range(3)]),
        name=objects(["大雄宝殿"] * 6),
        part=objects(["platform", "wall", "roof"] * 2),
        evidence=objects(["documented"] * 6),
        evidence_u=np.full(6, 0.3),
    )
    material = parts.material.copy()
    material[parts.surface == 2] = material_code("yellow_glaze")
    material[parts.surface == 1] = material_code("red_wall")

    return replace(parts, material=material)


def test_parts_stay_with_their_building_and_glaze_shines(tmp_path):
    told = build_tileset(models.parts(heritage(), None), tmp_path, "v", ModelTiles(), Workers(1))
    assert told["objects"] == 2
    assert told["features"] == 6
    gltf = glb.read(tmp_path / "l3/0/0_0.glb")
    table = metadata.read_table(gltf)
    assert table["oid"].tolist() == ["hall0"] * 3 + ["hall1"] * 3
    assert table["part"].tolist() == ["platform", "wall", "roof"] * 2
    roughness = [m["pbrMetallicRoughness"]["roughnessFactor"] for m in gltf.document["materials"]]
    assert len(roughness) == 2
    assert min(roughness) < 0.5 < max(roughness)
    assert check_tileset(tmp_path / "l3").outcomes == ()


def test_heritage_is_refined_within_its_declared_reach(tmp_path):
    options = ModelTiles(root_bytes=10_000, inner_bytes=10_000, leaf_bytes=10_000, l3_reach=2600.0)
    many = town(600)
    build_tileset(models.parts(many, None), tmp_path, "v", options, Workers(1))
    document = json.loads((tmp_path / "l3/tileset.json").read_bytes())
    stack, inner = [document["root"]], []
    while stack:
        tile = stack.pop()
        stack += tile.get("children", [])
        inner += [tile["geometricError"]] if "children" in tile else []
    assert inner
    assert min(inner) * models.REFINES_WITHIN >= 2600.0


def test_compressed_copies_hold_the_same_bytes(built):

    plain = built[0] / "0/0_0.glb"
    assert gzip.decompress(plain.with_name("0_0.glb.gz").read_bytes()) == plain.read_bytes()
    assert brotli.decompress(plain.with_name("0_0.glb.br").read_bytes()) == plain.read_bytes()


def test_a_block_costs_little_on_the_wire(built):
    assert built[1]["wire_bytes"] / 900 < 160.0


def with_brackets():
    halls = heritage()
    part = np.where(halls.attributes["part"] == "wall", "porch_brackets", halls.attributes["part"]).astype(object)
    return replace(halls, attributes={**halls.attributes, "part": part})


def test_fine_parts_wait_until_the_camera_is_near(tmp_path):
    build_tileset(models.parts(with_brackets(), None), tmp_path, "v", ModelTiles(l3_fine_reach=900.0), Workers(1))
    assert check_tileset(tmp_path / "l3").outcomes == ()
    main = metadata.read_table(glb.read(tmp_path / "l3/0/0_0.glb"))
    assert main["part"].tolist() == ["platform", "roof"] * 2
    document = json.loads((tmp_path / "l3/tileset.json").read_bytes())
    (near,) = document["root"]["children"]
    assert "content" not in near
    assert 900.0 <= near["geometricError"] * models.REFINES_WITHIN < 1100.0
    (leaf,) = near["children"]
    assert leaf["content"]["uri"] == "fine/0/0_0.glb"
    assert leaf["geometricError"] == 0.0


def test_an_object_of_fine_parts_alone_stays_in_the_main_tree(tmp_path):
    halls = with_brackets()
    lone = halls.take(np.flatnonzero(halls.attributes["part"] == "porch_brackets"))
    build_tileset(models.parts(lone, None), tmp_path, "v", ModelTiles(), Workers(1))
    assert not (tmp_path / "l3/fine").exists()


def test_many_fine_leaves_are_each_loaded_by_their_own_distance():
    rng = np.random.default_rng(4)
    n = 300
    items = scheme.Items(rng.uniform(0, 1000, (n, 2)), np.ones(n), np.full(n, 100.0), np.ones(n))
    root = scheme.late_leaves(items, 3000.0, 9.0, "fine/")
    leaves = [node for node in root.walk() if len(node.rows)]
    assert len(leaves) > 8
    assert sorted(np.concatenate([leaf.rows for leaf in leaves]).tolist()) == list(range(n))
    assert len({node.key for node in root.walk()}) == len(list(root.walk()))
    for node in root.walk():
        assert node.error == (0.0 if len(node.rows) else 9.0)
        assert not any(len(child.rows) for child in node.children) or len(node.children) == 1
