from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from tests.tiles.scenes import DATONG, boxes, town
from tiles import ancient, models
from tiles.gltf import glb, metadata
from tiles.options import ModelTiles
from tiles.scheme import quadtree
from tiles.scheme.tilesets import write_tileset
from tiles.shelf import Shelf
from tiles.validity import check_tileset
from twin.features import objects
from twin.meshes import material_code
from twin.workers import Workers


def build(model, place, options):
    """The tileset of parts in a folder of its own; (its document, its folder, what is told of it)."""
    shelf = Shelf(place, options.brotli_quality)
    root, largest = ancient.build(model, options, shelf, Workers(1))
    told = write_tileset("l3", root, place / "v", shelf, "v", 2.0 * largest)
    home = place / "v" / "l3"
    return json.loads((home / "tileset.json").read_bytes()), home, told


def opened(home, tile):
    return glb.read(home / tile["content"]["uri"])


def test_an_error_is_never_less_than_what_is_missed():
    rng = np.random.default_rng(2)
    n = 400
    items = quadtree.Items(rng.uniform(0, 1000, (n, 2)), rng.uniform(2, 90, n), np.full(n, 100.0), rng.uniform(0, 1, n))
    root = quadtree.quadtree(items, quadtree.Budget(2000.0, 2000.0, 3000.0))

    def below(node):
        return np.concatenate([np.concatenate([c.rows, below(c)]) for c in node.children] or [np.zeros(0, int)])

    for node in root.walk():
        missed = below(node)
        assert node.error >= (items.sizes[missed].max() if len(missed) else 0.0)
    placed = np.concatenate([node.rows for node in root.walk()])
    assert sorted(placed.tolist()) == list(range(n))


def test_an_inner_tile_that_may_weigh_more_than_a_leaf_and_holds_all_is_a_leaf():
    items = quadtree.Items(np.array([[0.0, 0.0], [9.0, 9.0]]), np.ones(2), np.full(2, 900.0), np.ones(2))
    root = quadtree.quadtree(items, quadtree.Budget(root=2_000.0, inner=2_000.0, leaf=1_000.0))
    assert root.children == ()
    crowded = quadtree.Items(np.tile(items.centres, (2, 1)), np.ones(4), np.full(4, 900.0), np.ones(4))
    tree = quadtree.quadtree(crowded, quadtree.Budget(root=1_000.0, inner=2_000.0, leaf=1_000.0))
    assert sorted(np.concatenate([node.rows for node in tree.walk()]).tolist()) == [0, 1, 2, 3]


def test_objects_at_one_point_do_not_split_for_ever():
    n = 3000
    items = quadtree.Items(np.zeros((n, 2)), np.ones(n), np.full(n, 1000.0), np.ones(n))
    root = quadtree.quadtree(items, quadtree.Budget(10_000.0, 10_000.0, 10_000.0))
    assert max(node.level for node in root.walk()) <= 20
    assert sum(len(node.rows) for node in root.walk()) == n


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
    document, home, told = build(models.parts(heritage(), None), tmp_path, ModelTiles())
    assert told["features"] == 6
    gltf = opened(home, document["root"])
    table = metadata.read_table(gltf)
    assert table["oid"].tolist() == ["hall0"] * 3 + ["hall1"] * 3
    assert table["part"].tolist() == ["platform", "wall", "roof"] * 2
    roughness = [m["pbrMetallicRoughness"]["roughnessFactor"] for m in gltf.document["materials"]]
    assert len(roughness) == 2
    assert min(roughness) < 0.5 < max(roughness)
    assert check_tileset(home).outcomes == ()


def test_heritage_is_refined_within_its_declared_reach(tmp_path):
    options = ModelTiles(root_bytes=10_000, inner_bytes=10_000, leaf_bytes=10_000, l3_reach=2600.0)
    many = town(600)
    document, _, _ = build(models.parts(many, None), tmp_path, options)
    assert document["root"]["refine"] == "ADD"
    stack, inner = [document["root"]], []
    while stack:
        tile = stack.pop()
        stack += tile.get("children", [])
        inner += [tile["geometricError"]] if "children" in tile else []
    assert inner
    assert min(inner) * ancient.REFINES_WITHIN >= 2600.0


def with_brackets():
    halls = heritage()
    part = np.where(halls.attributes["part"] == "wall", "porch_brackets", halls.attributes["part"]).astype(object)
    return replace(halls, attributes={**halls.attributes, "part": part})


def test_fine_parts_wait_until_the_camera_is_near(tmp_path):
    document, home, _ = build(models.parts(with_brackets(), None), tmp_path, ModelTiles(l3_fine_reach=900.0))
    assert check_tileset(home).outcomes == ()
    main = metadata.read_table(opened(home, document["root"]))
    assert main["part"].tolist() == ["platform", "roof"] * 2
    (near,) = document["root"]["children"]
    assert "content" not in near
    assert 900.0 <= near["geometricError"] * ancient.REFINES_WITHIN < 1100.0
    (leaf,) = near["children"]
    assert set(metadata.read_table(opened(home, leaf))["part"].tolist()) == {"porch_brackets"}
    assert leaf["geometricError"] == 0.0


def test_an_object_of_fine_parts_alone_stays_in_the_main_tree(tmp_path):
    halls = with_brackets()
    lone = halls.take(np.flatnonzero(halls.attributes["part"] == "porch_brackets"))
    document, _, told = build(models.parts(lone, None), tmp_path, ModelTiles())
    assert told["tiles"] == 1
    assert "children" not in document["root"]


def test_many_fine_leaves_are_each_loaded_by_their_own_distance():
    rng = np.random.default_rng(4)
    n = 300
    items = quadtree.Items(rng.uniform(0, 1000, (n, 2)), np.ones(n), np.full(n, 100.0), np.ones(n))
    root = quadtree.late_leaves(items, 3000.0, 9.0, "fine/")
    leaves = [node for node in root.walk() if len(node.rows)]
    assert len(leaves) > 8
    assert sorted(np.concatenate([leaf.rows for leaf in leaves]).tolist()) == list(range(n))
    assert len({node.key for node in root.walk()}) == len(list(root.walk()))
    for node in root.walk():
        assert node.error == (0.0 if len(node.rows) else 9.0)
        assert not any(len(child.rows) for child in node.children) or len(node.children) == 1
