"""A thousand spoiled deliveries: each ends in one clear line or in a report over whole layers, and the store stands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.robustness.cases_archives import ARCHIVES
from tests.robustness.cases_open import OPEN
from tests.robustness.cases_others import OTHERS
from tests.robustness.cases_rasters import RASTERS
from tests.robustness.cases_scans import SCANS
from tests.robustness.cases_vectors import VECTORS
from tests.robustness.city import Nursery, copy_city, judge, lay_out, state_of
from tests.robustness.mutators import Cases, blind
from tests.robustness.seeds import seeds

STRUCTURED: dict[str, Cases] = {**ARCHIVES, **RASTERS, **VECTORS, **OTHERS, **SCANS, **OPEN}
ALL = [(seed, case, mutate) for seed, cases in STRUCTURED.items() for case, mutate in {**cases, **blind(seed)}.items()]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def cities(
    nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Path, dict[str, str]]]]:
    """Seed -> (city with a first ingest of the sound delivery, state of its store); made when asked for."""

    class Made(dict[str, tuple[Path, dict[str, str]]]):
        def __missing__(self, name: str) -> tuple[Path, dict[str, str]]:
            folder = tmp_path_factory.mktemp("cities") / name
            lay_out(folder, seeds()[name])
            ended = nursery.ingest(folder)
            assert ended.code == 0, ended
            self[name] = folder, state_of(folder)
            return self[name]

    return Made()


def test_the_cases_are_a_thousand_and_two_fifths_know_their_format():
    assert len(ALL) >= 1000
    assert sum(map(len, STRUCTURED.values())) >= 0.4 * len(ALL)


@pytest.mark.parametrize(("seed", "case", "mutate"), ALL, ids=[f"{seed}-{case}" for seed, case, _ in ALL])
def test_a_spoiled_delivery_ends_clearly(seed, case, mutate, cities, nursery, tmp_path):
    city, before = cities[seed]
    spoiled = mutate(seeds()[seed])
    folder = copy_city(city, tmp_path / "city", spoiled)
    judge(nursery.ingest(folder), folder, before, seeds()[seed].target)
    shutil.rmtree(folder)
