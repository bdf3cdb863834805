"""What every store promises of the pictures that models wear."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiny import FRAME, LINEAGE
from twin import NotFoundError, Skin, Solids, StoreError, Texture
from twin.features import objects
from twin.store.images import image_name

RED, BLUE = (b"\xff\xd8\xff" + word for word in (b"red", b"blue"))


def solids(oid: str, picture: bytes = b"", wrap: str = "clamp") -> Solids:
    """A triangle that wears a picture, or nothing."""
    skin = None
    if picture:
        uv = np.array([[[0, 0], [1, 0], [0.25, 1.5]]], np.float32)
        colour = np.array([[200, 100, 50, 128]], np.uint8)
        skin = Skin(colour, np.zeros(1, np.int32), uv, (Texture(image_name(picture), wrap),))
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    zero, offset = np.zeros(1, np.uint8), np.array([0, 1])
    faces = np.array([[0, 1, 2]], np.int32)
    return Solids(
        FRAME, objects([oid]), vertices, faces, zero, offset * 3, offset, np.array([20], np.uint8), zero, skin=skin
    )


def pictures(*data: bytes) -> dict[str, bytes]:
    return {image_name(each): each for each in data}


def test_skins_and_pictures_come_back_as_they_were_and_bare_batches_bare(store):
    batches = [("a", solids("a", RED)), ("b", solids("b")), ("c", solids("c", BLUE, "repeat"))]
    item = store.write_model("citymodel", batches, LINEAGE, pictures(RED, BLUE))
    back = dict(store.read_model("citymodel"))
    assert back["a"].skin.textures == (Texture(image_name(RED), "clamp"),)
    assert back["a"].skin.uv.tolist() == batches[0][1].skin.uv.tolist()
    assert back["a"].skin.colour.tolist() == [[200, 100, 50, 128]]
    assert back["b"].skin is None
    assert back["c"].skin.textures[0].wrap == "repeat"
    assert store.read_image(image_name(BLUE)) == BLUE
    assert item.extra["images"] == sorted(pictures(RED, BLUE))
    again = store.write_model("citymodel", batches, LINEAGE, pictures(RED, BLUE))
    assert again == item


def test_pictures_stay_while_a_model_wears_them_and_go_with_the_last(store):
    store.write_model("one", [("a", solids("a", RED)), ("b", solids("b", BLUE))], LINEAGE, pictures(RED, BLUE))
    store.write_model("two", [("a", solids("a", RED))], LINEAGE, pictures(RED))
    store.write_model("one", [("a", solids("a"))], LINEAGE)
    assert store.read_image(image_name(RED)) == RED
    with pytest.raises(NotFoundError, match="no picture"):
        store.read_image(image_name(BLUE))
    store.remove("model", "two")
    with pytest.raises(NotFoundError, match="no picture"):
        store.read_image(image_name(RED))
    assert not (store.root / "images").exists()


def test_a_writer_that_fails_leaves_the_pictures_of_the_last_good_state(store):
    store.write_model("one", [("a", solids("a", RED))], LINEAGE, pictures(RED))

    def interrupted():
        yield "a", solids("a", BLUE)
        raise ValueError("power cut")

    with pytest.raises(ValueError, match="power cut"):
        store.write_model("one", interrupted(), LINEAGE, pictures(BLUE))
    assert dict(store.read_model("one"))["a"].skin.textures[0].image == image_name(RED)
    assert store.read_image(image_name(RED)) == RED
    store.write_model("one", [("a", solids("a", RED))], LINEAGE, pictures(RED))
    assert [path.name for path in (store.root / "images").iterdir()] == [image_name(RED)]


def test_a_damaged_or_lost_picture_shows_in_the_digest_and_is_mended_by_the_next_write(store):
    item = store.write_model("one", [("a", solids("a", RED))], LINEAGE, pictures(RED))
    assert store.digest("model", "one") == item.digest
    assert store.size("model", "one") == store.path("model", "one").stat().st_size + len(RED)
    path = store.root / "images" / image_name(RED)
    path.write_bytes(RED + b"!")
    assert store.digest("model", "one") != item.digest
    path.unlink()
    assert store.digest("model", "one") != item.digest
    store.write_model("one", [("a", solids("a", RED))], LINEAGE, pictures(RED))
    assert store.digest("model", "one") == item.digest


def test_what_is_no_picture_of_its_name_is_refused(store):
    with pytest.raises(StoreError, match="do not fit its name"):
        store.write_model("one", [("a", solids("a", RED))], LINEAGE, {image_name(RED): BLUE})
    with pytest.raises(StoreError, match="model kept without"):
        store.write_model("one", [("a", solids("a", RED))], LINEAGE)
    with pytest.raises(StoreError, match="no name of a picture"):
        store.read_image("../catalog.json")
    assert not store.has("model", "one")
    assert image_name(b"#!/bin/sh") == ""
