"""A city that has been declared and nothing more: every resource answers, and says what would fill it."""

import json

import pytest

from server.app import create_app
from tests.server.asgi import ask
from twin.city import open_city
from twin.store import published


@pytest.fixture
def empty(tmp_path):
    text = '[city]\nname = "空城"\nname_en = "Nowhere"\n[frame]\ncrs = "EPSG:4547"\n'
    (tmp_path / "city.toml").write_text(text, encoding="utf-8")
    return create_app(open_city(tmp_path))


@pytest.mark.parametrize(
    "path",
    ["/", "/?f=html", "/city", "/collections", "/search?q=x", "/live/things", "/live/latest", "/incidents", "/api"],
)
def test_what_can_be_empty_is_empty(empty, path):
    assert ask(empty, path).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "remedy"),
    [
        ("/collections/buildings", 404, "twin ingest"),
        ("/collections/flood_streets/items", 404, "twin zones"),
        ("/collections/buildings/state?theme=flood", 409, "twin zones"),
        ("/tiles/current.json", 404, "not published"),
    ],
)
def test_what_is_missing_names_the_stage_that_makes_it(empty, path, status, remedy):
    answer = ask(empty, path)
    assert answer.status_code == status
    assert remedy in answer.json()["detail"]


def test_the_scene_of_an_empty_city_has_no_tiles_and_no_themes(empty):
    scene = ask(empty, "/city").json()
    assert (scene["version"], scene["terrain"], scene["tilesets"], scene["imagery"], scene["themes"]) == (
        "",
        None,
        [],
        [],
        [],
    )
    assert ask(empty, "/readyz").status_code == 503
    assert ask(empty, "/live/latest").json() == {"seq": 0, "values": {}, "replay": None}


def test_settings_come_from_the_citys_declaration(tmp_path):
    text = '[city]\nname = "城"\n[frame]\ncrs = "EPSG:4547"\n[server]\nmax_clients = 1\nframe_ancestors = "https://hall.example"\n'
    (tmp_path / "city.toml").write_text(text, encoding="utf-8")
    page = ask(create_app(tmp_path), "/?f=html")
    assert "frame-ancestors https://hall.example" in page.headers["content-security-policy"]


def test_a_folder_without_build_json_is_unavailable_and_says_what_mends_it(own_city, settings):
    staging = own_city.store.stage_tiles()
    own_city.store.publish_tiles(staging, "v9")
    answer = ask(create_app(own_city, settings()), "/city")
    assert answer.status_code == 503
    assert "twin tiles" in answer.json()["detail"]


def test_a_part_is_addressed_where_it_lies_so_that_clients_keep_it_over_versions(own_city, settings):
    home = own_city.store.tiles_dir
    staging = own_city.store.stage_tiles()
    (staging / "terrain").mkdir()
    (staging / "terrain" / "layer.json").write_text("{}", encoding="utf-8")
    published.link(staging / "terrain", published.shelve(home, staging / "terrain", "k1"))
    (staging / "build.json").write_text(json.dumps({"terrain": {"url": "terrain"}}), encoding="utf-8")
    own_city.store.publish_tiles(staging, "v8")
    app = create_app(own_city, settings())
    assert ask(app, "/city").json()["terrain"]["url"] == "/tiles/part/terrain-k1"
    for place in ("part/terrain-k1", "v8/terrain"):
        answer = ask(app, f"/tiles/{place}/layer.json")
        assert (answer.status_code, answer.content) == (200, b"{}")
        assert "immutable" in answer.headers["cache-control"]
