"""`--dry-run`: what would come and how large it is, with nothing written."""

from __future__ import annotations

import json

from ingest.fetch.build import Wish, fetch
from ingest.fetch.ledger import LEDGER
from ingest.fetch.sizes import weigh
from tests.fetch.conftest import ADDRESSES, BUILDINGS, DEM, EXTRACT, PLACE, TCI
from tests.fetch.test_fetch import QUICK
from twin.cli import main


def test_sizes_are_told_and_nothing_is_written(tmp_path, cloud):
    root = tmp_path / "city"
    words = ("dem", "buildings", "roads", "addresses", "imagery", "osm-roads", "osm-addresses")
    report = weigh(root, Wish(PLACE, words, cloud.url, patience=QUICK))
    assert not root.exists()
    figures = report.figures
    assert figures["dem.bytes_to_come"] == len(cloud.files[DEM])
    assert figures["imagery.bytes_to_come"] == len(cloud.files[f"/sentinel-2/{TCI}"])
    assert figures["osm-roads.bytes_to_come"] == len(cloud.files[f"/openstreetmap/{EXTRACT}"])
    assert 0 < figures["buildings.bytes_to_come"] < len(cloud.files[f"/overture/{BUILDINGS}"]) / 3
    assert 0 < figures["addresses.bytes_to_come"] < len(cloud.files[f"/overture/{ADDRESSES}"])
    parts = [figures[f"{word}.bytes_to_come"] for word in words if word != "osm-addresses"]
    assert figures["bytes_to_come"] == sum(parts)
    assert [line for line in report.warnings if line.startswith("dem: http") and " MB" in line]


def test_what_is_here_already_does_not_count(tmp_path, cloud):
    fetch(tmp_path, Wish(PLACE, ("dem", "roads"), cloud.url, patience=QUICK))
    report = weigh(tmp_path, Wish(PLACE, ("dem", "roads", "buildings"), cloud.url, patience=QUICK))
    assert (report.figures["dem.bytes_to_come"], report.figures["roads.bytes_to_come"]) == (0, 0)
    assert report.figures["bytes_to_come"] == report.figures["buildings.bytes_to_come"] > 0


def test_of_a_fetch_that_broke_off_between_row_groups_the_rest_is_still_to_come(tmp_path, cloud):
    wish = Wish(PLACE, ("buildings",), cloud.url, patience=QUICK)
    fetch(tmp_path, wish)
    assert weigh(tmp_path, wish).figures["bytes_to_come"] == 0
    ledger = tmp_path / LEDGER
    files = json.loads(ledger.read_text("utf-8"))["files"]
    rows = [entry for entry in files if entry["file"].endswith(".parquet") and "/overture/" in entry["file"]]
    assert rows
    ledger.write_text(json.dumps({"files": [entry for entry in files if entry not in rows]}), "utf-8")
    assert weigh(tmp_path, wish).figures["bytes_to_come"] > 0


def test_a_dry_run_on_the_command_line_names_what_cannot_come(tmp_path, cloud, capsys):
    del cloud.files[f"/sentinel-2/{TCI}"]
    words = ["fetch", str(tmp_path / "city"), "--bbox", *map(str, PLACE), "--only", "dem,imagery", "--dry-run"]
    assert main([*words, "--mirror", cloud.url]) == 1
    said = capsys.readouterr().out
    assert "fetch --dry-run: 1 done, 1 failed" in said
    assert "MB to come in all" in said
    assert not (tmp_path / "city").exists()
