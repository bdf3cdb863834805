"""The whole recipe and the whole check on both real cities."""

from __future__ import annotations

import pytest

import twin
from twin import pipeline
from twin.workers import Workers


@pytest.mark.parametrize(("name", "buildings"), [("goteborg", 137), ("delft", 160)])
def test_a_real_city_goes_from_its_files_to_tiles_that_pass_the_check(name, buildings, root, data, tmp_path):
    assert data.is_dir()
    city = twin.open(root / "examples" / name).with_store(tmp_path / ".twin")
    with Workers(2) as workers:
        reports = pipeline.run(city, workers)
        assert [report.stage for report in reports] == [stage.name for stage in pipeline.STAGES]
        assert pipeline.run(city, workers) == []
        checked = pipeline.check(city, workers)
    assert not any(report.failed for report in (*reports, *checked)), [o for r in checked for o in r.outcomes]
    assert city.store.item("model", "l2").count == buildings
    levels = city.layer("zone_flood_building").column("level")
    assert len(levels) == buildings
