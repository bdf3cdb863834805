import asyncio

import numpy as np

from server.app import context_of, create_app
from server.lookup.evidence import evidence_index
from server.lookup.names import fold
from tests.server.asgi import ask, running
from twin.features import objects
from twin.lineage import Lineage
from twin.meshes import Solids

TETRA = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], dtype=np.int32)


def parts(frame) -> Solids:
    owners, kinds = ["b1", "b1", "b1", "b2"], ["wall", "roof", "bracket", "wall"]
    n = len(owners)
    return Solids(
        frame,
        objects([f"{o}/{k}" for o, k in zip(owners, kinds, strict=True)]),
        np.concatenate([TETRA + 10.0 * k for k in range(n)]),
        np.concatenate([FACES + 4 * k for k in range(n)]).astype(np.int32),
        np.ones(4 * n, dtype=np.uint8),
        np.arange(0, 4 * n + 1, 4, dtype=np.int64),
        np.arange(0, 4 * n + 1, 4, dtype=np.int64),
        np.full(n, 30, dtype=np.uint8),
        np.zeros(4 * n, dtype=np.uint8),
        {
            "owner": objects(owners),
            "part": objects(kinds),
            "evidence": objects(["documented", "rule", "rule", "surveyed"]),
            "sources": objects(["S1, S2"] * 3 + [""]),
            "era": objects(["ming"] * 3 + ["liao"]),
            "evidence_u": np.array([2.0, 5.0, 5.0, 1.0]),
        },
    )


def with_l3(city) -> None:
    city.store.write_model("l3", [("c_0_0", parts(city.frame))], Lineage("made in code"))
    city.store.write_document("heritage_sources", {"bibliography": {"S1": "Liang and Liu 1933"}})


def test_evidence_is_told_of_each_object_with_its_sources(own_city):
    with_l3(own_city)
    index = evidence_index(own_city.store)
    assert index["b1"] == {
        "parts": 3,
        "era": "ming",
        "sources": "Liang and Liu 1933; S2",
        "evidence": "rule",
        "evidence_parts": {"documented": 1, "rule": 2},
        "uncertainty": 4.0,
    }
    assert index["b2"]["evidence"] == "surveyed"
    assert "sources" not in index["b2"]


def test_what_l3_says_of_a_monument_beats_what_its_model_shows(own_city):
    with_l3(own_city)
    told = {"era": "ming", "evidence": {"wall": "documented", "roof": "rule"}, "uncertainty": 2.53, "sources": "S1"}
    own_city.store.write_document("heritage_evidence", {"b1": told})
    drum = evidence_index(own_city.store)["b1"]
    assert drum["uncertainty"] == 2.53
    assert drum["evidence_of"] == {"wall": "documented", "roof": "rule"}
    assert drum["sources"] == "Liang and Liu 1933"


def test_a_building_with_an_l3_model_tells_its_evidence(own_city, settings):
    app = create_app(own_city, settings())
    assert ask(app, "/collections/buildings/items/b1").json()["properties"]["heritage"] == ""
    with_l3(own_city)
    assert ask(app, "/collections/buildings/items/b1").json()["properties"]["heritage"]["parts"] == 3


def test_tables_are_made_ready_without_being_asked_for(small_city, settings, monkeypatch):
    monkeypatch.setattr("server.app._SETTLE", 0.0)
    app = create_app(small_city, settings())

    async def wait() -> bool:
        async with running(app), asyncio.timeout(10):
            while not {"search", "evidence", "places"} <= set(context_of(app).memo._kept):
                await asyncio.sleep(0.01)
            return True

    assert asyncio.run(wait())


def test_names_are_compared_without_case_width_and_spaces():
    assert fold("Ｄrum  Tower-鼓 楼") == fold("drumtower鼓楼")
