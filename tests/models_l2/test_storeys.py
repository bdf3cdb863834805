from __future__ import annotations

import numpy as np
import pytest

from models_l2.storeys import EXTRA, STOREY_HEIGHT, storey_heights

NAN = np.nan
OTHER = (3.0, 0.6)


def heights(storeys: list[float], surveyed: list[float], use: str = "residential") -> tuple[np.ndarray, np.ndarray]:
    function = np.array([use] * len(storeys), dtype=object)
    return storey_heights(np.array(storeys), np.array(surveyed), function, OTHER)


def test_the_table_speaks_where_no_building_has_both():
    value, sigma = heights([1.0, 6.0, NAN, 0.0, 900.0], [NAN] * 5)
    assert value[:2] == pytest.approx([EXTRA + 2.9, EXTRA + 6 * 2.9])
    assert np.isnan(value[2:]).all()
    assert sigma[1] > sigma[0] > 1.0


def test_uses_differ_and_unknown_ones_take_the_option():
    storeys, nothing = np.full(3, 2.0), np.full(3, NAN)
    value, _ = storey_heights(storeys, nothing, np.array(["industrial", "office", "kiosk"], dtype=object), OTHER)
    table = [STOREY_HEIGHT["industrial"][0], STOREY_HEIGHT["office"][0], 3.0]
    assert value == pytest.approx(EXTRA + 2.0 * np.array(table))


def test_the_city_s_own_buildings_overrule_the_table():
    rng = np.random.default_rng(1)
    storeys = np.append(rng.integers(1, 12, 60), [8.0]).astype(float)
    surveyed = np.append(0.5 + 3.4 * storeys[:60] + rng.normal(0, 0.2, 60), NAN)
    value, sigma = heights(storeys.tolist(), surveyed.tolist())
    assert value[-1] == pytest.approx(0.5 + 3.4 * 8, abs=0.4)
    assert sigma[-1] < 0.6


def test_many_low_houses_with_tall_roofs_do_not_stretch_the_towers():
    storeys = np.append(np.ones(3000), [18.0])
    surveyed = np.append(np.full(3000, 4.9), NAN)
    value, _ = heights(storeys.tolist(), surveyed.tolist())
    assert value[0] == pytest.approx(4.9, abs=0.1)
    assert value[-1] == pytest.approx(18 * 2.9 + 2.0, abs=2.0)


def test_outliers_do_not_bend_the_line():
    storeys = np.append(np.tile([2.0, 4.0, 6.0], 20), [3.0, 3.0, 5.0])
    surveyed = np.append(1.0 + 3.0 * storeys[:60], [90.0, 120.0, NAN])
    value, _ = heights(storeys.tolist(), surveyed.tolist())
    assert value[-1] == pytest.approx(16.0, abs=0.3)
