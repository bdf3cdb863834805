"""The ready configuration of the real Datong, from a fetch over a small box to its buildings in L2."""

from __future__ import annotations

import shutil

import pytest

from tests.fetch.conftest import PLACE
from twin.city import open_city
from twin.cli import main


def test_the_real_datong_runs_from_the_fetch_to_l2(root, tmp_path, cloud, capsys):
    shutil.copy(root / "examples/datong/city.toml", tmp_path / "city.toml")
    what = "dem,buildings,roads,osm-addresses,imagery"
    words = ["fetch", str(tmp_path), "--bbox", *map(str, PLACE), "--what", what, "--mirror", cloud.url]
    assert main(words) == 0
    assert main(["ingest", str(tmp_path), "--workers", "1"]) == 0
    assert main(["l2", str(tmp_path), "--workers", "1"]) == 0
    capsys.readouterr()
    city = open_city(tmp_path)
    temple = city.buildings()
    assert temple.column("source_id").tolist() == ["b19"]
    assert (temple.column("height")[0], temple.column("address")[0]) == (7.5, "大西街12号")
    assert city.layer("road").column("road_class").tolist() == ["primary", "primary"]
    assert len(city.layer("address")) == 2
    solid = next(solids for _, solids in city.store.read_model("l2"))
    low, high = solid.vertices[:, 2].min(), solid.vertices[:, 2].max()
    assert 1049.0 < low < 1052.0
    assert high - low == pytest.approx(7.5, abs=0.3)


def test_its_heights_are_not_taken_for_the_national_datum(root, tmp_path, cloud, capsys):
    text = (root / "examples/datong/city.toml").read_text(encoding="utf-8")
    assert 'vertical = "EGM2008"\ngeoid_undulation' in text
    national = text.replace('vertical = "EGM2008"\ngeoid_undulation', 'vertical = "1985"\ngeoid_undulation')
    (tmp_path / "city.toml").write_text(national, encoding="utf-8")
    what = "dem,buildings,roads,osm-addresses,imagery"
    assert main(["fetch", str(tmp_path), "--bbox", *map(str, PLACE), "--what", what, "--mirror", cloud.url]) == 0
    assert "heights are EGM2008, the city's are 1985" in capsys.readouterr().out
    assert main(["ingest", str(tmp_path), "--workers", "1"]) == 2
    assert "heights in 'EGM2008', the city's are in '1985'; add vertical_offset" in capsys.readouterr().err
    declared = national.replace(
        'lineage = "twin fetch: Copernicus', 'extra = { vertical_offset = -0.3 }\nlineage = "twin fetch: Copernicus'
    )
    (tmp_path / "city.toml").write_text(declared, encoding="utf-8")
    assert main(["ingest", str(tmp_path), "--workers", "1"]) == 0
    steps = open_city(tmp_path).store.item("raster", "dem").lineage.steps
    assert "heights EGM2008 -> 1985: -0.300 m as declared" in steps
