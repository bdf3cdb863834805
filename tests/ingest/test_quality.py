"""A little city with one of each fault: every one is counted, once, under its quality of ISO 19157, and seen."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest import repair
from ingest.quality import measures, shapes
from ingest.quality.measures import MEASURES, QUALITIES, REASONS, code_of, sort_warnings
from ingest.quality.page import quality_page
from ingest.quality.words import COLUMNS, ELEMENTS, KINDS
from ingest.run import IngestOptions, build
from twin.city import SOURCE_KINDS
from twin.cli import main
from twin.features import FEATURE_CLASSES, Layer
from twin.workers import Workers

X, Y = 500_000.0, 4_430_000.0
COLUMNS_OF = {"source_id": "BH", "height": "H", "storeys": "F", "eave_height": "E", "function": "USE"}
NAN = np.nan


def box(x, y, w=8.0, h=8.0):
    return shapely.box(X + x, Y + y, X + x + w, Y + y + h)


@pytest.fixture
def faulty(write_vector, write_raster, make_city, tmp_path, ground, frame):
    crossed = shapely.Polygon([(X + 40, Y), (X + 50, Y + 9), (X + 50, Y), (X + 40, Y + 9), (X + 40, Y)])
    rows = [  # id, shape, height, storeys, eaves, use
        ("a", box(0, 0), 9.0, 3.0, 8.0, "residential"),
        ("a", box(0, 0), 9.0, 3.0, 8.0, "residential"),  # delivered twice
        ("a", box(0, 20), 9.0, 3.0, 8.0, "residential"),  # id repeats
        ("b", crossed, 9.0, 3.0, 8.0, "residential"),  # invalid, two halves
        ("c", box(20, 0), 9.0, 3.0, 8.0, "residential"),
        ("d", box(20, 0), 9.0, 3.0, 8.0, "residential"),  # same shape, other id
        ("e", box(24, 4), 9.0, 3.0, 8.0, "residential"),  # overlaps c
        ("f", box(0, 60), 9999.0, 3.0, NAN, "residential"),  # out of range
        ("g", box(20, 60), 0.0, 3.0, NAN, "residential"),  # zero for missing
        ("h", box(40, 60), NAN, NAN, NAN, "residential"),  # no height
        ("i", box(60, 60), 9.0, 3.0, NAN, "casino"),  # out of domain, so unknown
        ("j", box(80, 60), 60.0, 3.0, NAN, "residential"),  # 20 m a storey
        ("k", box(0, 80), 9.0, 3.0, 12.0, "residential"),  # eaves above
        ("l", box(900, 0), 9.0, 3.0, NAN, "residential"),  # off the ground
        ("m", None, 9.0, 3.0, NAN, "residential"),  # no geometry
    ]
    names = list(zip(*rows, strict=True))
    write_vector(
        "b.gpkg", names[1], BH=list(names[0]), H=list(names[2]), F=list(names[3]), E=list(names[4]),
        USE=list(names[5]),
    )  # fmt: skip
    write_vector("b2.gpkg", [box(0.5, 0), box(60, 20)], BH=["z1", "z2"], H=[15.0, 6.0], USE=["commercial", "office"])
    road = [((0, 50), (50, 50)), ((20, 51), (20, 58)), ((50, 50), (90, 50))]
    lines = [shapely.LineString([(X + x, Y + y) for x, y in line]) for line in road]
    write_vector("r.gpkg", lines, width=[5.0, 5.0, 5.0])
    dem = ground.copy()
    dem[4, 4], dem[0, 0] = -9999, 20_000
    write_raster("dem.tif", dem, nodata=-9999)
    write_raster("dsm.tif", ground + 0.25)
    lon, lat = frame.to_lonlat([[X + 15, Y + 15]])[0].tolist()
    (tmp_path / "s.csv").write_text(
        "oid,lon,lat,target_oid,observed_property,minimum,maximum\n"
        f"s1,{lon},{lat},a,tilt,0,1\ns2,{lon},{lat},nobody,tilt,0,1\ns3,,,,tilt,0,1\n"
    )
    times = ["00:00", "00:10", "00:20", "00:20", "00:50", "01:00"]  # one twice, two missing
    values = ["0.1", "0.1", "0.1", "0.1", "7", "NA"]
    lines = [f"s1/tilt,2026-06-21T{t}:00Z,{v}" for t, v in zip(times, values, strict=True)]
    lines += ["s1/tilt,tomorrow,0.1", "ghost,2026-06-21T00:00:00Z,0.1"]
    (tmp_path / "o.csv").write_text("datastream,time,value\n" + "\n".join(lines) + "\n")
    declared = {"columns": COLUMNS_OF, "accuracy": 0.3, "date": "2026-05-01", "extra": {"expected": 16}}
    second = {"source_id": "BH", "height": "H", "function": "USE"}
    return make_city(
        {"name": "first", "kind": "footprints", "path": "b.gpkg"} | declared,
        {"name": "second", "kind": "footprints", "path": "b2.gpkg", "columns": second, "date": "2020-01-01"},
        {"name": "roads", "kind": "roads", "path": "r.gpkg", "accuracy": 1.0, "date": "2026-05-01"},
        {"name": "dem", "kind": "dem", "path": "dem.tif", "accuracy": 1.0, "date": "2026-05-01"},
        {"name": "dsm", "kind": "dsm", "path": "dsm.tif", "accuracy": 1.0},
        {"name": "sensors", "kind": "sensors", "path": "s.csv", "crs": "EPSG:4326", "accuracy": 1.0, "date": "2026"},
        {"name": "values", "kind": "observations", "path": "o.csv", "date": "2026"},
    )


def measured(city):
    build(city, IngestOptions(), Workers(1))
    return city.store.read_document("quality")


def counts(document, name):
    source = next(s for s in document["sources"] if s["name"] == name)
    return {key: {row["measure"]: row["count"] for row in rows} for key, rows in source["quality"].items() if rows}


def test_every_fault_is_counted_in_its_quality_class(faulty):
    document = measured(faulty)
    assert counts(document, "first") == {
        "completeness": {
            "missing_features": 1, "repeated_feature": 1, "no_place": 1, "zero_as_missing": 1, "no_height": 1,
            "outside_ground": 1,
        },
        "logical": {
            "invalid_geometry": 1, "repaired_geometry": 1, "duplicate_geometry": 1, "overlap": 1, "duplicate_id": 1,
            "out_of_range": 1, "out_of_domain": 1,
        },
        "thematic": {"function_unknown": 1, "storeys_conflict": 1, "eaves_conflict": 1},
    }  # fmt: skip
    assert counts(document, "second") == {"positional": {"no_accuracy": 1}}
    assert counts(document, "roads") == {"logical": {"undershoot": 1}}
    assert counts(document, "dem") == {
        "completeness": {"filled_cells": 1, "empty_cells": 1},
        "logical": {"out_of_range": 1},
    }
    assert counts(document, "dsm") == {"temporal": {"no_date": 1}}
    assert counts(document, "sensors") == {"completeness": {"no_place": 1}, "logical": {"no_target": 1}}
    assert counts(document, "values") == {
        "completeness": {"missing_values": 2},
        "logical": {"no_target": 1},
        "thematic": {"value_out_of_range": 1},
        "temporal": {"unreadable_time": 1, "time_repeated": 1, "time_gaps": 1, "time_missing": 2},
    }


def test_where_two_sources_meet_distances_and_disagreements_are_told(faulty):
    document = measured(faulty)
    met = {row["measure"]: row for row in document["between"]}
    # z1 stands half a metre east of both buildings "a" has there: one was delivered twice and is left out.
    assert met["same_buildings"]["figures"] == {
        "n": 1, "median": 0.5, "p90": 0.5, "rms": 0.5, "largest": 0.5, "function_differs": 1, "height_differs": 1,
    }  # fmt: skip
    ground = met["surface_ground"]["figures"]
    assert ground["median"] == pytest.approx(0.25, abs=1e-3)
    assert ground["below"] == 0


def test_facts_of_place_and_time_stand_in_the_document(faulty):
    document = measured(faulty)
    sources = {source["name"]: source for source in document["sources"]}
    assert sources["sensors"]["crs"] == "EPSG:4326"
    assert sources["dem"]["vertical"] == "1985"
    assert sources["first"]["accuracy"] == 0.3
    assert sources["second"]["accuracy"] is None
    assert "1 invalid geometries repaired" in sources["first"]["steps"][-1]
    times = sources["values"]["times"]
    assert (times["since"], times["until"]) == ("2026-06-21T00:00:00Z", "2026-06-21T00:50:00Z")
    assert (times["step"], times["expected"], times["found"]) == (600.0, 7, 5)
    assert sources["dem"]["checked"] == ["completeness", "logical", "positional", "temporal"]
    assert sources["values"]["checked"] == ["completeness", "logical", "thematic", "temporal"]
    totals = document["totals"]
    assert (totals["oldest"], totals["newest"]) == ("2020-01-01", "2026-05-01")
    assert totals["sources_with_fault"]["temporal"] == 2


def test_maps_show_each_fault_where_it_is(faulty):
    document = measured(faulty)
    first = document["sources"][0]["map"]
    faults = {fault["measure"]: fault for fault in first["faults"]}
    assert sum(cell[2] for cell in faults["no_height"]["cells"]) == 1
    row, column, _ = faults["no_height"]["cells"][0]
    xmin, _, xmax, ymax = first["bounds"]
    cell = (xmax - xmin) / first["shape"][1]
    assert abs(xmin + (column + 0.5) * cell - (X + 44)) <= cell
    assert abs(ymax - (row + 0.5) * cell - (Y + 64)) <= cell
    assert first["rows"][row][column] != "0" or first["rows"][row - 1][column] != "0" or cell < 8.0


class Page(HTMLParser):
    """Collects what is open, what refers outside, and the words."""

    VOID = frozenset({"meta", "path", "rect", "use", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.refers, self.ids, self.words, self.maps = [], [], [], {"zh": "", "en": ""}, 0

    def handle_starttag(self, tag, attrs):
        table = dict(attrs)
        self.refers += [v for k, v in table.items() if k in ("href", "src", "xlink:href", "action", "data")]
        self.ids += [table["id"]] if "id" in table else []
        self.maps += table.get("class") == "map"
        if tag not in self.VOID:
            self.open.append((tag, "en" if table.get("lang") == "en" else ""))

    def handle_startendtag(self, tag, attrs):
        table = dict(attrs)
        self.refers += [v for k, v in table.items() if k in ("href", "src")]
        self.ids += [table["id"]] if "id" in table else []

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.words["en" if any(lang for _, lang in self.open) else "zh"] += data


def test_the_page_is_whole_bilingual_and_opens_offline(faulty):
    text = quality_page(measured(faulty), ("小城", "Tiny"), ("合成", "synthetic"))
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert all(reference.startswith("#") and reference[1:] in page.ids for reference in page.refers)
    assert not re.search(r"url\(|@import|https?://|<script|<link", text)
    assert page.maps == 6
    for key, (zh, en) in QUALITIES.items():
        assert zh in page.words["zh"], key
        assert en in page.words["en"], key
    for code in ("overlap", "undershoot", "no_date", "time_gaps", "out_of_domain"):
        assert MEASURES[code].title in page.words["zh"]
        assert MEASURES[code].title_en in page.words["en"]


def test_names_from_files_are_text_on_the_page_and_never_markup(make_city, write_vector, write_raster, ground):
    write_vector("b.gpkg", [box(0, 0)], BH=["<script>alert(1)</script>"], H=[-5.0])
    write_raster("dem.tif", ground)
    city = make_city(
        {"name": "<b>&", "kind": "footprints", "path": "b.gpkg", "columns": {"source_id": "BH", "height": "H"}},
        {"kind": "dem", "path": "dem.tif"},
    )
    text = quality_page(measured(city), ("<i>", "<i>"))
    assert "<script" not in text
    assert "<b>&<" not in text
    assert "&lt;script&gt;alert(1)" in text
    Page().feed(text)


def test_the_same_delivery_gives_the_same_document_and_page(faulty):
    first, second = measured(faulty), measured(faulty)
    assert first == second
    assert quality_page(first, ("甲", "A")) == quality_page(second, ("甲", "A"))


def fits(value, schema, root):
    """Whether a JSON value has the shape of a schema, for the few words of JSON Schema that ours uses."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "oneOf" in schema:
        return sum(fits(value, part, root) for part in schema["oneOf"]) == 1
    if value != schema.get("const", value) or value not in schema.get("enum", [value]):
        return False
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    kinds |= {"object": dict, "array": list}
    wanted = schema.get("type", list(kinds))
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not any(isinstance(value, kinds[k]) and isinstance(value, bool) <= (k == "boolean") for k in wanted):
        return False
    if isinstance(value, list):
        sized = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)
        return sized and all(fits(item, schema.get("items", {}), root) for item in value)
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties", {})
        others = {key: item for key, item in value.items() if key not in known}
        if set(schema.get("required", ())) - set(value) or (others and more is False):
            return False
        return all(fits(item, known.get(key, more), root) for key, item in value.items())
    return True


def test_the_document_has_the_shape_that_its_schema_tells(faulty):
    schema = json.loads((Path(measures.__file__).parent / "schema.json").read_text(encoding="utf-8"))
    document = measured(faulty)
    assert fits(document, schema, schema)
    assert schema["properties"]["schema"]["const"] == measures.SCHEMA
    for change in ({"schema": "other"}, {"more": 1}, {"sources": [{}]}, {"totals": {}}):
        assert not fits({**document, **change}, schema, schema)


def test_a_document_of_another_version_is_one_clear_line(faulty, tmp_path, capsys):
    document = measured(faulty)
    faulty.store.write_document("quality", {key: value for key, value in document.items() if key != "schema"})
    assert main(["report", str(tmp_path)]) == 2
    assert "written by another version; `twin ingest DIR --force` writes it anew" in capsys.readouterr().err


def test_every_count_opens_the_list_of_the_features_concerned(make_city, write_vector, write_raster, ground):
    n = 70
    write_vector("b.gpkg", [box(12 * k, 0) for k in range(n)], BH=[f"h{k:02d}" for k in range(n)])
    write_raster("dem.tif", ground)
    city = make_city(
        {"name": "first", "kind": "footprints", "path": "b.gpkg", "columns": {"source_id": "BH"}},
        {"kind": "dem", "path": "dem.tif"},
    )
    document = measured(city)
    row = next(r for r in document["sources"][0]["quality"]["completeness"] if r["measure"] == "no_height")
    assert (row["count"], row["examples"]) == (n, [f"h{k:02d}" for k in range(measures.LISTED)])
    text = quality_page(document, ("小城", "Tiny"))
    assert '<a href="#s-first-no_height-list">70</a>' in text
    assert "前 50 个，共 70" in text
    assert "<li>h49</li>" in text
    assert '<a href="#s-first-no_height"><b>' in text


def test_an_identifier_that_two_sources_share_is_no_fault_of_the_second(make_city, write_vector, write_raster, ground):
    write_vector("a.gpkg", [box(0, 0), box(20, 0)], BH=["x1", "x2"], H=[9.0, 9.0])
    write_vector("b.gpkg", [box(0, 40), box(20, 40)], BH=["x1", "x2"], H=[9.0, 9.0])
    write_raster("dem.tif", ground)
    columns = {"source_id": "BH", "height": "H"}
    city = make_city(
        {"name": "a", "kind": "footprints", "path": "a.gpkg", "columns": columns},
        {"name": "b", "kind": "footprints", "path": "b.gpkg", "columns": columns},
        {"kind": "dem", "path": "dem.tif"},
    )
    second = next(s for s in measured(city)["sources"] if s["name"] == "b")
    assert [(r["measure"], r["count"], r["fault"]) for r in second["quality"]["logical"]] == [("shared_id", 2, False)]
    assert second["faults"]["logical"] == 0


def test_a_shape_with_four_fifths_in_another_is_nearly_a_duplicate():
    row = np.array([box(0, 0, 20, 10), box(1, 0, 20, 10), box(0, 8, 20, 10), box(50, 0)], dtype=object)
    near, over = shapes.overlap_kinds(row)
    assert (near.tolist(), over.tolist()) == ([1], [2])


def test_the_report_verb_writes_the_page_from_the_store(faulty, tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "twin ingest" in capsys.readouterr().err
    measured(faulty)
    assert main(["report", str(tmp_path)]) == 0
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "wall.html")]) == 0
    assert (tmp_path / "quality.html").read_bytes() == (tmp_path / "wall.html").read_bytes()
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "none" / "wall.html")]) == 2


def test_every_reason_and_warning_of_the_readers_has_its_measure():
    room = Path(repair.__file__).parent
    files = ("repair", "joining/matching", "joining/fusion", "joining/sources", "observations", "run")
    source = "".join((room / f"{n}.py").read_text("utf-8") for n in files)
    said = re.findall(r'"[^"\n]*[\u4e00-\u9fff][^"\n]* / [^"\n]*"', source)
    assert len(said) >= 15
    for reason in said:
        assert code_of(reason) != "other", reason
    assert {code for _, code in REASONS} <= set(MEASURES)
    lines = ["f: column h: 3 zeros taken as missing", "f: column u: 2 values are not in its table, e.g. 'x'; add"]
    lines += ["f: column u: 2 values set to 'unknown', e.g. 'x'; map them in values", "f: nothing of the kind"]
    assert {code: n for code, (n, _) in sort_warnings(lines).items()} == {"zero_as_missing": 3, "out_of_domain": 2}


def test_every_word_the_page_needs_is_in_both_languages():
    assert set(KINDS) == set(SOURCE_KINDS)
    assert {m.element for m in MEASURES.values()} == set(ELEMENTS)
    assert {m.quality for m in MEASURES.values()} == set(QUALITIES)
    declared = {name for feature in FEATURE_CLASSES.values() for name in feature.columns}
    assert declared - {"attributes", "provenance", "source", "building_oid", "confidence"} <= set(COLUMNS)
    assert all(m.title and m.title_en and m.title != m.title_en for m in MEASURES.values())


def overlapping(geometry, group=None):
    return np.union1d(*shapes.overlap_kinds(geometry, group))


def test_touching_neighbours_and_rounding_are_no_overlap():
    row = np.array([box(8 * k, 0) for k in range(5)] + [box(40.02, 0)], dtype=object)
    assert len(overlapping(row)) == 0
    inner = np.array([box(0, 0, 20, 20), box(5, 5)], dtype=object)
    assert overlapping(inner).tolist() == [1]
    levels = np.array(["city", "district"], dtype=object)
    assert len(overlapping(inner, levels)) == 0


def test_equal_shapes_are_found_wherever_their_ring_starts():
    ring = [(0, 0), (10, 0), (10, 5), (0, 5)]
    same = [shapely.Polygon(ring), shapely.Polygon(ring[2:] + ring[:2]), shapely.Polygon(ring[::-1]), box(0, 0)]
    assert shapes.duplicate_rows(np.array(same, dtype=object)).tolist() == [1, 2]


def test_twenty_five_thousand_buildings_are_judged_in_seconds(frame):
    n = 25_000
    x, y = X + 12.0 * (np.arange(n) % 160), Y + 12.0 * (np.arange(n) // 160)
    geometry = shapely.box(x, y, x + np.where(np.arange(n) % 50 == 0, 16.0, 12.0), y + 12.0)
    oid = [f"b{k:05d}" for k in range(n)]
    layer = Layer.build("building", frame, oid, geometry, {"height": np.full(n, 9.0)})
    start = time.perf_counter()
    over, same = overlapping(layer.geometry), shapes.duplicate_rows(layer.geometry)
    assert time.perf_counter() - start < 2.0
    assert len(over) == np.count_nonzero((np.arange(n) % 50 == 0) & (np.arange(n) % 160 != 159))
    assert len(same) == 0
