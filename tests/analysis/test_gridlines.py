"""Lines on a grid."""

import numpy as np
import shapely
from affine import Affine

from twin.analysis.gridlines import burnt_cells, cell_index, stations
from twin.frames import Frame
from twin.grid import GeoBox

BOX = GeoBox((20, 30), Affine(10.0, 0.0, 0.0, 0.0, -10.0, 200.0), Frame("EPSG:4547"))


def test_stations_measure_along_the_line_over_its_bends() -> None:
    lines = np.array([shapely.LineString([(0, 0), (30, 0), (30, 40)]), shapely.LineString([(0, 5), (10, 5)])])
    along = stations(lines, 10.0)
    assert along.distance[along.line == 0].max() == 70.0
    assert along.distance[along.line == 1].tolist() == [0.0, 10.0]
    assert np.diff(along.distance[along.line == 0]).max() <= 10.0


def test_empty_lines_and_points_give_no_station() -> None:
    assert len(stations(np.array([shapely.LineString(), shapely.Point(1, 1)]), 5.0).line) == 0


def test_burnt_cells_of_a_slanting_line_hang_together() -> None:
    cells, line, _ = burnt_cells(np.array([shapely.LineString([(3, 3), (287, 171)])]), BOX)
    rows, cols = np.divmod(cells, 30)
    order = np.argsort(cols, kind="stable")
    assert (np.abs(np.diff(rows[order])) <= 1).all()
    assert set(cols) == set(range(29))
    assert (line == 0).all()


def test_points_outside_the_box_have_no_cell() -> None:
    assert cell_index(np.array([[-1.0, 5.0], [5.0, 195.0], [299.0, 1.0]]), BOX).tolist() == [-1, 0, 599]
