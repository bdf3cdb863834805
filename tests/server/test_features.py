import gzip
import json
import re

import pytest
import shapely

from tests.server.asgi import ask

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


def test_the_landing_page_links_to_everything_that_answers(app):
    landing = ask(app, "/").json()
    rels = {link["rel"] for link in landing["links"]}
    assert {"self", "service-desc", "service-doc", "conformance", "data"} <= rels
    for link in landing["links"]:
        if "/viewer/" not in link["href"]:
            assert ask(app, link["href"]).status_code == 200, link


def test_people_get_a_page_in_their_language(app):
    page = ask(app, "/", headers={"Accept": "text/html,*/*;q=0.8", "Accept-Language": "en-GB,zh;q=0.3"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-language"] == "en"
    assert 'lang="en"' in page.text
    assert "小城" in page.text
    assert "Small Town" in page.text
    assert "http://" not in page.text.replace("http://twin.test", "")
    assert "https://" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"].replace("wasm-unsafe-eval", "")
    assert 'lang="zh-CN"' in ask(app, "/?f=html").text


def test_docs_list_every_path_without_a_script(app):
    page = ask(app, "/docs").text
    assert "<script" not in page
    assert "/collections/{collection_id}/items" in page


def test_collections_are_those_the_store_can_fill(app):
    listed = ask(app, "/collections?lang=en").json()["collections"]
    assert [c["id"] for c in listed] == ["buildings", "roads", "addresses", "flood_buildings", "flood_streets"]
    first = listed[0]
    assert (first["title"], first["itemCount"]) == ("Buildings", 4)
    west, south, east, north = first["extent"]["spatial"]["bbox"][0]
    assert west <= 113.30 < 113.31 <= east
    assert south <= 40.09 < 40.10 <= north
    assert ask(app, "/collections/buildings?lang=zh").json()["title"] == "建筑"


def test_items_are_geojson_in_crs84(app):
    answer = ask(app, "/collections/buildings/items")
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["content-crs"] == f"<{CRS84}>"
    body = answer.json()
    assert (body["type"], body["numberReturned"], body["numberMatched"]) == ("FeatureCollection", 4, 4)
    drum = body["features"][0]
    assert drum["id"] == drum["properties"]["oid"] == "b1"
    ring = drum["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert abs(min(x for x, _ in ring) - 113.30) < 1e-5
    assert shapely.geometry.shape(drum["geometry"]).exterior.is_ccw
    assert drum["properties"]["attributes"] == {"style": "明"}
    assert body["features"][3]["properties"]["attributes"] == "not json"
    assert body["features"][3]["properties"]["storeys"] is None


def test_pages_follow_each_other_without_loss(app):
    seen, path = [], "/collections/roads/items?limit=7"
    while path:
        answer = ask(app, path)
        body = answer.json()
        assert len(body["features"]) == body["numberReturned"] <= 7
        seen += [f["id"] for f in body["features"]]
        path = next((link["href"] for link in body["links"] if link["rel"] == "next"), None)
        assert ('rel="next"' in answer.headers.get("link", "")) == (path is not None)
    assert seen == [f"r{k:02d}" for k in range(30)]


def test_a_limit_beyond_the_largest_is_clamped(small_city, settings):
    from server.app import create_app

    app = create_app(small_city, settings(max_items=5))
    assert ask(app, "/collections/roads/items?limit=999999").json()["numberReturned"] == 5


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ("113.2999,40.0899,113.3006,40.0905", ["b1"]),
        ("113.2,40.0,113.4,40.2", ["b1", "b2", "b3", "b4"]),
        ("-180,-90,180,90", ["b1", "b2", "b3", "b4"]),
        ("113.2,40.0,0,113.4,40.2,9000", ["b1", "b2", "b3", "b4"]),
        ("10,50,11,51", []),
        ("170,-10,113.305,60", ["b1", "b2", "b3"]),
    ],
)
def test_a_box_chooses_what_it_meets(app, bbox, expected):
    body = ask(app, f"/collections/buildings/items?bbox={bbox}").json()
    assert [f["id"] for f in body["features"]] == expected
    assert "numberMatched" not in body


def test_properties_filter_by_equality(app):
    def ids(query):
        return [f["id"] for f in ask(app, f"/collections/buildings/items?{query}").json()["features"]]

    assert ids("function=heritage") == ["b1"]
    assert ids("storeys=2") == ["b2"]
    assert ids("storeys=2&function=heritage") == []
    assert ids("name=鼓楼&bbox=113,40,114,41") == ["b1"]


def test_only_the_chosen_properties_are_sent(app):
    feature = ask(app, "/collections/buildings/items?properties=name,height_m&limit=1").json()["features"][0]
    assert feature["properties"] == {"oid": "b1", "name": "鼓楼", "height_m": 20.0}


def test_queryables_are_a_schema_of_what_can_be_asked(app):
    answer = ask(app, "/collections/buildings/queryables")
    assert answer.headers["content-type"] == "application/schema+json"
    properties = answer.json()["properties"]
    assert properties["storeys"]["type"] == "number"
    assert properties["function"]["type"] == "string"
    assert "attributes" not in properties
    for name in properties:
        value = "1" if properties[name]["type"] == "number" else "x"
        assert ask(app, f"/collections/buildings/items?{name}={value}").status_code == 200, name


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("colour=red", "colour"),
        ("limit=0", "limit"),
        ("limit=-3", "limit"),
        ("limit=ten", "limit"),
        ("after=x", "after"),
        ("bbox=1,2,3", "bbox"),
        ("bbox=1,2,3,nan", "bbox"),
        ("bbox=1,2,3,4,5", "bbox"),
        ("bbox=0,50,1,40", "bbox"),
        ("bbox=500,0,501,1", "bbox"),
        ("datetime=yesterday", "datetime"),
        ("datetime=2026-06-21T00:00:00Z/2026-06-20T00:00:00Z", "datetime"),
        ("datetime=../..", "datetime"),
        ("storeys=many", "storeys"),
        ("f=xml", "f"),
        ("name=a&name=b", "name"),
        ("properties=name,colour", "properties"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_400_and_named(app, query, parameter):
    answer = ask(app, f"/collections/buildings/items?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["parameter"] == parameter


@pytest.mark.parametrize("moment", ["2026-06-21T00:00:00Z", "2026-06-21T00:00:00+08:00/..", "../2026-06-21T00:00:00Z"])
def test_features_without_a_time_meet_every_interval(app, moment):
    body = ask(app, "/collections/buildings/items", params={"datetime": moment}).json()
    assert body["numberReturned"] == 4


def test_one_building_tells_its_zone_and_address(app):
    drum = ask(app, "/collections/buildings/items/b1").json()
    assert drum["properties"]["height_evidence"] == "surveyed"
    zone = drum["properties"]["zone"]
    assert (zone["level"], zone["quality"], zone["depth_m"]) == (5, "A", 1.2)
    assert zone["drivers"][0]["zh"] == "水深"
    assert len(zone["p"]) == 5
    house = ask(app, "/collections/buildings/items/b3").json()["properties"]
    assert house["zone"]["level"] == 0
    assert house["address"] == "大同市平城区鼓楼东街1号"
    assert ask(app, "/collections/buildings/items/b4").json()["properties"]["zone"] is None


@pytest.mark.parametrize("path", ["/collections/castles", "/collections/green", "/collections/buildings/items/zzz"])
def test_what_is_not_there_is_404_with_a_remedy(app, path):
    answer = ask(app, path)
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_state_gives_a_level_to_every_zoned_building(app):
    state = ask(app, "/collections/buildings/state?theme=flood").json()
    assert state["levels"] == {"b1": 5, "b2": 2, "b3": 0}
    assert state["theme"] == "flood"
    assert state["method"]
    assert ask(app, "/collections/buildings/state?theme=plague").status_code == 400
    assert ask(app, "/collections/buildings/state").status_code == 400


def test_the_scene_points_at_published_tiles(app):
    scene = ask(app, "/city").json()
    assert (scene["id"], scene["name"], scene["badge_en"]) == ("small", "小城", "Synthetic")
    assert scene["version"] == "v1"
    assert scene["tilesets"][0]["url"] == "/tiles/v1/l2/tileset.json"
    assert scene["terrain"]["url"] == "/tiles/v1/terrain"
    assert [entry["url"] for entry in scene["imagery"]] == ["/tiles/v1/imagery/{z}/{x}/{y}.jpg"] * 2
    assert [entry["maxzoom"] for entry in scene["imagery"]] == [15, 17]
    assert scene["time"] == {"default": "2026-06-21T18:30:00+08:00", "utc_offset": 8.0}
    assert scene["view"]["lon"] == 113.30
    assert [layer["id"] for layer in scene["layers"]] == ["roads"]
    assert scene["attributions"] == ["Small Town survey"]
    for path in (scene["tilesets"][0]["url"], scene["live"]["latest"], scene["live"]["things"]):
        assert ask(app, path).status_code == 200
    theme = scene["themes"][0]
    assert all(ask(app, theme[key]).status_code == 200 for key in ("buildings", "streets", "process"))


def test_search_finds_names_parts_and_misspellings(app):
    def found(query, **more):
        return [(r["oid"], r["kind"]) for r in ask(app, "/search", params={"q": query, **more}).json()["results"]]

    assert found("鼓楼")[0] == ("b1", "building")
    assert found("drum tower") == [("b1", "building")]
    assert found("ＤＲＵＭ") == [("b1", "building")]
    assert found("Drum Towr") == [("b1", "building")]
    assert found("鼓楼东街1号") == [("b3", "address")]
    assert len(found("大同市", limit=1)) == 1
    assert found("不存在的地方") == []
    first = ask(app, "/search?q=鼓楼").json()["results"][0]
    assert abs(first["lon"] - 113.30) < 0.001
    assert first["height"] == 20.0
    assert ask(app, "/search?q=").status_code == 400
    assert ask(app, "/search").status_code == 400


def test_geocoding_says_where_how_sure_and_why(app):
    first = ask(app, "/geocode", params={"q": "鼓楼东街１號"}).json()["candidates"][0]
    assert (first["kind"], first["building"]) == ("address", "b3")
    assert first["confidence"] >= 0.9
    assert {"zh", "en", "code"} <= set(first["reasons"][0])
    assert ask(app, "/geocode", params={"q": "鼓楼"}).json()["candidates"][0]["oid"] == "b1"
    assert ask(app, "/geocode").status_code == 400
    here = ask(app, "/reverse", params={"lon": first["lon"], "lat": first["lat"]}).json()
    assert here["address"]["oid"] == first["oid"]
    assert ask(app, "/reverse?lon=200&lat=0").status_code == 400


def test_search_finds_an_address_however_it_is_written(app):
    assert ask(app, "/search", params={"q": "鼓楼东街１號"}).json()["results"][0]["oid"] == "b3"
    assert ask(app, "/search", params={"q": "鼓楼冬街1号"}).json()["results"][0]["oid"] == "b3"


def test_divisions_of_a_day(app):
    assert ask(app, "/divisions").json()["succession"] == []
    assert ask(app, "/divisions?on=2018").status_code == 400


def test_json_is_compressed_and_tagged(app):
    plain = ask(app, "/collections/roads/items", headers={"Accept-Encoding": "identity"})
    packed = ask(app, "/collections/roads/items", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert (
        int(packed.headers["content-length"]) < len(plain.content) == len(gzip.decompress(gzip.compress(plain.content)))
    )
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "Accept-Encoding" in packed.headers["vary"]
    same = ask(
        app,
        "/collections/roads/items",
        headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]},
    )
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == packed.headers["etag"]
    assert same.headers["cache-control"] == packed.headers["cache-control"]


def test_the_interface_description_is_sound(app):
    answer = ask(app, "/api", headers={"Accept": "*/*"})
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    api = answer.json()
    assert api["openapi"].startswith("3.1")
    from jsonschema import Draft202012Validator

    schemas = api["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(api)
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)
    operations = [op for item in api["paths"].values() for op in item.values()]
    ids = [op["operationId"] for op in operations]
    assert len(set(ids)) == len(ids)
    for path, item in api["paths"].items():
        for operation in item.values():
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path)), path
            assert any(code.startswith("2") for code in operation["responses"])
            assert operation["description"]
