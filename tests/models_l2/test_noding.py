"""Noding of the lines that come near another gives what noding of all lines at once gives."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from models_l2.terrain.noding import canonical, distinct, noded


def all_at_once(segments: np.ndarray) -> np.ndarray:
    whole = shapely.union_all(shapely.linestrings(segments.astype(np.float64)), grid_size=1.0)
    xy, owner = shapely.get_coordinates(shapely.get_parts(whole), return_index=True)
    inside = owner[1:] == owner[:-1]
    xy = np.rint(xy).astype(np.int64)
    return canonical(np.stack([xy[:-1][inside], xy[1:][inside]], axis=1))


@given(
    st.integers(0, 10_000),
    st.integers(1, 60),
    st.sampled_from([5, 30, 300, 3000, 100_000]),
    st.sampled_from(["apart", "net", "short"]),
)
@settings(max_examples=200)
def test_what_is_left_alone_changes_nothing(seed, n, side, kind):
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, side, (n, 2))
    if kind == "net":
        segments = ends[rng.integers(0, n, (2 * n, 2))]
    else:
        reach = side if kind == "apart" else max(2, side // 20)
        segments = np.stack([ends, ends + rng.integers(-reach, reach + 1, (n, 2))], axis=1)
    segments = canonical(segments)
    if len(segments):
        assert noded(segments).tolist() == all_at_once(segments).tolist()


@pytest.mark.parametrize("off", [0, 1, 2, 3, 4])
def test_a_corner_beside_a_wall(off):
    """Corners within a millimetre or so of a wall become its vertices; further off they stay."""
    wall, corner = [[0, 0], [20_000, 7]], [[10_000, 3 + off], [12_000, 9_000]]
    segments = canonical(np.array([wall, corner, [[0, 0], [0, 9_000]]]))
    assert noded(segments).tolist() == all_at_once(segments).tolist()


def test_rows_are_found_again():
    rows = np.array([[3, -1], [0, 5], [3, -1], [0, 4], [0, 5]])
    different, which = distinct(rows)
    assert different.tolist() == [[0, 4], [0, 5], [3, -1]]
    assert (different[which] == rows).all()
