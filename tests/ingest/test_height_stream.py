"""Heights larger than memory: block by block, the same whatever the blocks, within the memory that is stated."""

import tracemalloc

import numpy as np
import pytest

from ingest.dem import HeightReader
from ingest.formats import height_stream
from ingest.formats.height_stream import HeightsOfAnySize
from ingest.run import IngestOptions, build
from twin.errors import SourceError
from twin.workers import Workers

READER = HeightsOfAnySize(HeightReader("dem"))


@pytest.fixture
def rough():
    """Ground of 900 x 1,300 cells with holes of every size up to 250, a void in a corner, one hole of 300."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:900, 0:1300]
    values = (1040 + 5 * np.sin(x / 60.0) + 3 * np.cos(y / 40.0)).astype(np.float32)
    for _ in range(60):
        r, c, n = rng.integers(20, 860), rng.integers(20, 1260), rng.integers(1, 20)
        values[r : r + n, c : c + n] = -9999
    values[100:350, 980:1040] = -9999
    values[560:600, 400:700] = -9999
    values[:120, :90] = -9999
    return values


def drained(stream):
    result = np.full(stream.geobox.shape, np.inf, dtype=np.float32)
    for values, row, col in stream.blocks():
        result[row : row + values.shape[0], col : col + values.shape[1]] = values
    return result


@pytest.fixture
def streamed(monkeypatch, deliver, frame):
    def read(block, **declared):
        monkeypatch.setattr(height_stream, "STREAM_FROM", 1)
        monkeypatch.setattr(height_stream, "BLOCK", block)
        return READER.read(deliver("*.tif", "dem", **declared), frame)

    return read


def test_the_result_does_not_depend_on_the_blocks(rough, write_raster, streamed):
    write_raster("west.tif", rough[:, :701], nodata=-9999, cell=1.0)
    write_raster("east.tif", rough[:, 701:], nodata=-9999, cell=1.0, corner=(500_701.0, 4_430_100.0))
    results = []
    for block in (4096, 700, 450):
        reading = streamed(block)
        results.append((drained(reading.noun), reading.tally["filled"], reading.tally["empty"]))
    for values, filled, empty in results[1:]:
        np.testing.assert_array_equal(values, results[0][0])
        assert (filled, empty) == results[0][1:]
    values, known = results[0][0], rough != -9999
    np.testing.assert_array_equal(values[known], rough[known])
    assert np.isnan(values[:100, :80]).all()
    assert np.isnan(values[570:590, 420:680]).all()
    assert not np.isnan(values[100:350, 980:1040]).any()


def test_small_holes_are_filled_as_in_memory(rough, write_raster, streamed, deliver, frame):
    values = rough.copy()
    values[560:600, 400:700] = 1040.0
    write_raster("a.tif", values, nodata=-9999, cell=1.0)
    whole = HeightReader("dem").read(deliver("a.tif", "dem"), frame)
    np.testing.assert_array_equal(drained(streamed(300).noun), whole.noun.values)


def test_memory_is_that_of_a_window_whatever_the_size(write_raster, streamed, monkeypatch):
    peaks = []
    monkeypatch.setattr(height_stream, "MARGIN", 64)
    for n in (1500, 4500):
        write_raster("a.tif", np.full((n, n), 1040.0, "f4"), cell=1.0, tiled=True, blockxsize=256, blockysize=256)
        stream = streamed(256).noun
        tracemalloc.start()
        cells = sum(values.size for values, _, _ in stream.blocks())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert cells == n * n
    assert max(peaks) < 10 * 4 * (256 + 2 * 64) ** 2
    assert peaks[1] < 1.2 * peaks[0]


def test_a_stream_without_any_height_or_beside_another_source_is_one_clear_line(
    write_raster, streamed, make_city, ground
):
    write_raster("a.tif", np.full((40, 40), -9999.0, "f4"), nodata=-9999)
    with pytest.raises(SourceError, match="no cell has a height"):
        drained(streamed(16).noun)
    write_raster("b.tif", ground)
    city = make_city({"kind": "dem", "path": "b.tif"}, {"kind": "dem", "path": "a.tif"})
    with pytest.raises(SourceError, match="2 sources, one of them larger than memory; declare their files as one"):
        build(city, IngestOptions(), Workers(1))


def test_a_streamed_dem_is_kept_and_the_second_time_the_same(rough, write_raster, streamed, make_city):
    write_raster("a.tif", rough, nodata=-9999, cell=1.0)
    streamed(256)
    city = make_city({"kind": "dem", "path": "a.tif"})
    build(city, IngestOptions(), Workers(1))
    item = city.store.item("raster", "dem")
    assert item.count == rough.size
    assert "holes of at most 256 cells across filled" in item.lineage.steps[-1]
    np.testing.assert_array_equal(city.store.read_raster("dem").values, drained(streamed(4096).noun))
    build(city, IngestOptions(), Workers(1))
    assert city.store.item("raster", "dem").digest == item.digest
