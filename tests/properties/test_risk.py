"""Laws of the zoning method on random inputs."""

from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.risk.conftest import scene_of
from twin.risk.explain import contributions, log_ratio
from twin.risk.scenario import run_flood, with_draws
from twin.risk.scene import ZoneScene
from twin.risk.weights import guarded_entropy, hierarchy, merge
from twin.risk.zoning import Pillars, Profile, levels, pillars, risk_index

share = st.floats(0.0, 1.0)
THRESHOLDS = np.array([0.15, 0.25, 0.35, 0.45])


@st.composite
def profiles(draw: st.DrawFn, rows: int) -> Profile:
    def table(k: int) -> np.ndarray:
        return draw(arrays(np.float64, (rows, k), elements=share))

    return Profile(
        keys=tuple("abcdefghij"),
        triggers=table(3),
        exposure=table(2),
        vulnerability=table(3),
        capacity=table(2),
        trigger_weights=np.array([1.0, 0.9, 0.1]),
        exposure_weights=np.array([0.7, 0.3]),
        vulnerability_weights=np.array([0.5, 0.3, 0.2]),
        capacity_weights=np.array([0.6, 0.4]),
    )


@given(profiles(4), profiles(1))
@settings(max_examples=300, deadline=None)
def test_contributions_add_up_to_the_logarithm_of_the_risk(here: Profile, there: Profile) -> None:
    phi = contributions(here, there)
    assert np.isfinite(phi).all()
    assert np.abs(phi.sum(axis=1) - log_ratio(here, there)).max() < 1e-12


@given(st.tuples(share, share, share, share), st.integers(0, 3), share)
def test_risk_never_falls_with_hazard_exposure_or_vulnerability_nor_rises_with_capacity(
    start: tuple[float, float, float, float], which: int, target: float
) -> None:
    moved = list(start)
    moved[which] = max(start[which], target)
    before = risk_index(Pillars(*(np.array([v]) for v in start)))[0]
    after = risk_index(Pillars(*(np.array([v]) for v in moved)))[0]
    assert after <= before + 1e-15 if which == 3 else after >= before - 1e-15
    assert 0.0 <= after <= 1.0


@given(profiles(3))
def test_pillars_stay_between_zero_and_one(profile: Profile) -> None:
    found = pillars(profile)
    for pillar in (found.hazard, found.exposure, found.vulnerability, found.capacity):
        assert ((pillar >= 0.0) & (pillar <= 1.0 + 1e-12)).all()


@given(arrays(np.float64, 20, elements=share))
def test_levels_follow_the_score(score: np.ndarray) -> None:
    order = np.argsort(score)
    assert (np.diff(levels(score, THRESHOLDS)[order]) >= 0).all()


@given(arrays(np.float64, (50, 3), elements=share), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_merged_weights_are_weights(values: np.ndarray, says: list[int]) -> None:
    ratio = np.array(says, dtype=np.float64)
    judged = hierarchy(ratio[:, None] / ratio[None, :]).weights
    entropy, _ = guarded_entropy(values, judged, ("a", "b", "c"))
    merged = merge(judged, entropy).weights
    assert abs(merged.sum() - 1.0) < 1e-9
    assert (merged >= -1e-12).all()


@lru_cache(maxsize=1)
def valley() -> ZoneScene:
    return with_draws(scene_of(), 10)


rain = st.floats(0.0, 400.0)


@given(rain, rain)
@settings(max_examples=25, deadline=None)
def test_more_rain_never_lowers_the_level_of_any_unit(one: float, other: float) -> None:
    less, more = (run_flood(valley(), {"rain_mm": mm}) for mm in sorted((one, other)))
    for before, after in ((less.buildings, more.buildings), (less.streets, more.streets)):
        known = np.isfinite(before.level)
        assert (after.level[known] >= before.level[known]).all()
        assert (after.score[known] >= before.score[known] - 1e-12).all()
        assert np.array_equal(known, np.isfinite(after.level))
