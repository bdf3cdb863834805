"""Other people's tilesets: the public samples of 3D Tiles 1.1 and glTF metadata, read by our checker."""

from __future__ import annotations

import json
import shutil

import pytest

from tiles.gltf import glb
from tiles.gltf.metadata import read_table
from tiles.validity import check_tileset

pytestmark = pytest.mark.real

SAMPLES = (
    "1.1/BoundingBoxTests/0_0_0-1_1_2",
    "1.1/BoundingBoxTests/0_0_0-1_2_1",
    "1.1/BoundingBoxTests/0_0_0-2_1_1",
    "1.1/BoundingBoxTests/0_0_2-1_1_4",
    "1.1/BoundingBoxTests/0_2_0-1_4_1",
    "1.1/BoundingBoxTests/2_0_0-4_1_1",
    "1.1/TilesetWithFullMetadata",
    "glTF/EXT_mesh_features/FeatureIdAttribute",
    "glTF/EXT_mesh_features/FeatureIdTexture",
    "glTF/EXT_structural_metadata/ComplexTypes",
    "glTF/EXT_structural_metadata/FeatureIdAttributeAndPropertyTable",
    "glTF/EXT_structural_metadata/FeatureIdTextureAndPropertyTable",
    "glTF/EXT_structural_metadata/MultipleClasses",
    "glTF/EXT_structural_metadata/MultipleFeatureIdsAndProperties",
    "glTF/EXT_structural_metadata/PropertyAttributesPointCloud",
    "glTF/EXT_structural_metadata/SharedPropertyTable",
    "glTF/EXT_structural_metadata/SimplePropertyTexture",
    "glTF/GpuInstancesMetadata",
)


@pytest.fixture(scope="module")
def samples(data):
    return data / "3dtiles-reference"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sound_sample_has_no_fault(samples, name):
    report = check_tileset(samples / name)
    assert report.outcomes == ()
    assert report.done >= 1


def test_a_point_five_millimetres_over_its_box_is_found(samples):
    # The sample's box ends at 0.1 m and its points at 0.105 m, as the accessor's own maximum says.
    report = check_tileset(samples / "1.1/MultipleContents")
    where = "planePoints.glb (tileset.json#root)"
    assert [(o.oid, o.reason[:27]) for o in report.outcomes] == [(where, "a vertex lies 0.005 m outsi")]


@pytest.mark.parametrize(("name", "tiles", "contents"), [("Quadtree", 63, 32), ("Octree", 58, 31)])
def test_implicit_samples_are_walked_to_the_last_tile(samples, name, tiles, contents):
    folder = samples / f"1.1/SparseImplicit{name}"
    report = check_tileset(folder)
    assert report.outcomes == ()
    assert report.figures["implicit_tiles"] == tiles
    assert report.figures["subtrees"] == len(list(folder.glob("subtrees/*")))
    assert report.figures["contents"] == contents == len(list(folder.glob("content/*")))


def test_instances_of_the_sample_are_inside_its_box(samples, tmp_path):
    source = samples / "glTF/GpuInstancesMetadata"
    report = check_tileset(source)
    assert report.figures["instances"] == 10
    document = json.loads((source / "tileset.json").read_text())
    document["root"]["boundingVolume"]["box"][3] -= 0.5
    shutil.copy(source / "GpuInstancesMetadata.gltf", tmp_path)
    (tmp_path / "tileset.json").write_text(json.dumps(document))
    assert "m outside the volume of tileset.json#root" in check_tileset(tmp_path).outcomes[0].reason


def test_every_content_of_the_implicit_samples_opens(samples):
    files = sorted((samples / "1.1").glob("SparseImplicit*/content/*.glb"))
    assert len(files) > 20
    for file in files:
        assert glb.read(file).primitives()


def test_a_property_table_of_others_reads_as_they_wrote_it(samples):
    file = samples / "glTF/EXT_structural_metadata/FeatureIdAttributeAndPropertyTable"
    table = read_table(glb.read(next(file.glob("*.gltf"))))
    assert all(len(values) == 4 for values in table.values())
    arrays = read_table(glb.read(next((samples / "glTF/EXT_structural_metadata/ComplexTypes").glob("*.gltf"))))
    assert [len(values) for values in arrays.values()] == [4] * len(arrays)
