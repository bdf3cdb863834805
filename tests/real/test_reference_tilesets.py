"""Other people's tilesets: the public samples of 3D Tiles 1.1 and glTF metadata, read by our checker."""

from __future__ import annotations

import pytest

from tiles.gltf import glb
from tiles.gltf.metadata import read_table
from tiles.validity import check_tileset

pytestmark = pytest.mark.real

SAMPLES = (
    "1.1/BoundingBoxTests/0_0_0-1_1_2",
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
    assert [(o.oid, o.reason[:27]) for o in report.outcomes] == [("planePoints.glb", "a vertex lies 0.005 m outsi")]


@pytest.mark.parametrize("name", ["SparseImplicitQuadtree", "SparseImplicitOctree"])
def test_implicit_tilings_are_checked_by_their_structure(samples, name):
    report = check_tileset(samples / "1.1" / name)
    assert report.outcomes == ()
    assert "structure only" in report.warnings[0]


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
