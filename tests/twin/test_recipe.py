"""The recipe as operators meet it: what is out of date, what a kill leaves, what the command line says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import twin
from models_l2 import reuse
from tests.tiny import TOML, buildings, relief, tiny_city
from twin import pipeline
from twin.cli import main
from twin.store.catalog import digest_of
from twin.workers import Workers

TWIN = [sys.executable, "-m", "twin.cli"]

SOURCES = """
[[source]]
name = "dem"
kind = "dem"
path = "dem.tif"
crs = "EPSG:4547"
vertical = "1985"

[[source]]
name = "footprints"
kind = "footprints"
path = "buildings.gpkg"
crs = "EPSG:4547"
"""


@pytest.fixture
def folder(tmp_path):
    """A city of two real source files."""
    import rasterio

    raster = relief()
    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", height=80, width=80, count=1, dtype="float32",
        crs="EPSG:4547", transform=raster.geobox.affine,
    ) as dataset:  # fmt: skip
        dataset.write(raster.values, 1)
    table = buildings().to_geopandas().reset_index()
    table[["oid", "name", "storeys", "height", "geometry"]].to_file(tmp_path / "buildings.gpkg", layer="buildings")
    (tmp_path / "city.toml").write_text(TOML + SOURCES, encoding="utf-8")
    return tmp_path


def content(folder):
    """Name and digest of everything the store keeps, live data aside."""
    kept = {}
    for path in sorted((folder / ".twin").rglob("*")):
        if path.is_file() and path.name != "lock" and not path.name.startswith("live.sqlite"):
            kept[str(path.relative_to(folder))] = digest_of(path)
    return kept


def test_a_second_run_does_nothing_and_a_change_does_what_it_touches(folder, capsys):
    assert main(["run", str(folder)]) == 0
    before = content(folder)
    capsys.readouterr()
    assert main(["run", str(folder)]) == 0
    assert "up to date" in capsys.readouterr().err
    assert content(folder) == before
    city = twin.open(folder)
    with Workers(1) as workers:
        again = pipeline.run(city, workers)
        assert again == []
        forced = pipeline.run(city, workers, only=["l2"], force=True)
        assert [report.stage for report in forced] == ["l2"]
        assert content(folder) == before
        (folder / "city.toml").write_text(TOML + SOURCES + "\n[l2]\ncell_size = 500.0\n", encoding="utf-8")
        touched = pipeline.run(twin.open(folder), workers)
    assert [report.stage for report in touched] == ["l2", "tiles"], "other cells, the same buildings"


def test_the_number_of_workers_changes_no_byte(folder, tmp_path_factory):
    assert main(["run", str(folder), "--workers", "1"]) == 0
    one = content(folder)
    assert main(["run", str(folder), "--workers", "2", "--force"]) == 0
    assert content(folder) == one


@pytest.mark.slow
def test_killing_any_step_and_running_again_ends_in_the_same_bytes(folder):
    assert main(["run", str(folder)]) == 0
    whole = content(folder)
    for wait in (0.4, 0.9, 1.4, 1.9, 2.6, 3.4):
        run = subprocess.Popen(
            [*TWIN, "run", str(folder), "--force", "--workers", "1"],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        time.sleep(wait)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert main(["run", str(folder)]) == 0
        assert content(folder) == whole, f"killed after {wait} s"


def test_check_of_a_part_of_the_recipe_names_what_has_not_run_and_is_content(folder, capsys):
    assert main(["check", str(folder)]) == 2
    assert "nothing is built yet" in capsys.readouterr().err
    assert main(["run", str(folder), "--only", "ingest", "--only", "l2"]) == 0
    capsys.readouterr()
    assert main(["check", str(folder)]) == 0
    assert "skipped: 尚未运行 / this stage has not run: l3, tiles, zones" in capsys.readouterr().out


def test_check_finds_what_is_wrong_and_says_so(folder, capsys):
    assert main(["run", str(folder)]) == 0
    assert main(["check", str(folder)]) == 0
    (folder / ".twin" / "rasters" / "relief.tif").write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["check", str(folder)]) in (1, 2)
    told = capsys.readouterr()
    assert "relief" in told.out + told.err


def test_info_lists_what_the_store_keeps(folder, capsys):
    assert main(["ingest", str(folder)]) == 0
    capsys.readouterr()
    assert main(["info", str(folder), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert {(i["kind"], i["name"]) for i in table["items"]} >= {("layer", "building"), ("raster", "dem")}
    assert main(["info", str(folder)]) == 0
    assert "building" in capsys.readouterr().out


def test_export_opens_in_another_program(folder, tmp_path, capsys):
    import geopandas

    assert main(["ingest", str(folder)]) == 0
    out = tmp_path / "out.gpkg"
    assert main(["export", str(folder), "--format", "gpkg", str(out)]) == 0
    assert len(geopandas.read_file(out, layer="building")) == 12
    assert main(["export", str(folder), "--format", "gpkg", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_two_runs_never_write_to_one_store(folder, capsys):
    city = twin.open(folder)
    with city.store.writing():
        assert main(["run", str(folder)]) == 2
    assert "another run is writing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.replace("dem.tif", "missing.tif"), ["missing.tif", "no such file"]),
        (lambda t: t.replace('kind = "dem"', 'kind = "demm"'), ["demm", "did you mean 'dem'"]),
        (lambda t: t.replace("[frame]", "[fram]"), ["did you mean [frame]"]),
        (
            lambda t: t.replace('crs = "EPSG:4547"\nvertical = "1985"\ngeoid', 'crs = "EPSG:4490"\ngeoid'),
            ["4490", "metres"],
        ),
        (lambda t: t + "\n[l2]\nstoryheight = 3\n", ["[l2]", "unknown key 'storyheight'"]),
        (lambda t: t.replace("[city]", "[city"), ["not valid TOML"]),
    ],
)
def test_a_wrong_declaration_is_one_line_with_its_remedy(folder, capsys, edit, words):
    file = folder / "city.toml"
    file.write_text(edit(file.read_text(encoding="utf-8")), encoding="utf-8")
    assert main(["run", str(folder)]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("twin: ")
    for word in words:
        assert word in told


def test_a_city_without_terrain_stands_on_ground_declared_flat(folder, capsys):
    file = folder / "city.toml"
    text = file.read_text(encoding="utf-8")
    begin, end = text.index('[[source]]\nname = "dem"'), text.index('[[source]]\nname = "footprints"')
    file.write_text(text[:begin] + text[end:], encoding="utf-8")
    assert main(["run", str(folder), "--only", "ingest", "--only", "l2"]) == 0
    assert "level ground ASSUMED at 0 m" in capsys.readouterr().out
    assert set(twin.open(folder).buildings().column("base_z")) == {0.0}
    file.write_text(text[:begin] + text[end:] + "\n[l2.relief]\nlevel = 12.5\n", encoding="utf-8")
    assert main(["run", str(folder)]) == 0
    assert set(twin.open(folder).buildings().column("base_z")) == {12.5}
    assert main(["check", str(folder)]) == 0


def test_no_city_says_how_to_begin(tmp_path, capsys):
    assert main(["run", str(tmp_path)]) == 2
    assert "twin init" in capsys.readouterr().err


def test_init_writes_a_city_that_opens_and_is_never_overwritten(tmp_path, capsys):
    assert main(["init", str(tmp_path / "mine")]) == 0
    city = twin.open(tmp_path / "mine")
    assert city.frame.crs == "EPSG:4547"
    assert main(["init", str(tmp_path / "mine")]) == 2
    assert "left as it is" in capsys.readouterr().err


def test_stage_options_are_flags_with_their_sentence(capsys):
    with pytest.raises(SystemExit):
        main(["l2", "--help"])
    told = capsys.readouterr().out
    assert "as under [l2] in city.toml" in told
    assert "(default" in told


def test_forced_a_stage_takes_nothing_over_from_the_build_before(tmp_path, monkeypatch):
    city = tiny_city(tmp_path / "tiny")
    pipeline.run(city, Workers(1), only=["l2"])
    before = content(tmp_path / "tiny")
    raised = []
    honest = reuse.raise_block
    monkeypatch.setattr(reuse, "raise_block", lambda job: (raised.extend(job.oid), honest(job))[1])
    pipeline.run(city, Workers(1), only=["l2"], force=True)
    assert len(raised) == 12
    assert content(tmp_path / "tiny") == before
