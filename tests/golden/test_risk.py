"""Weights, index, explanation and loss against answers published or worked out by hand."""

import numpy as np
import pytest

from twin.risk.explain import contributions, log_ratio
from twin.risk.loss import damage_ratio, exceedance, losses
from twin.risk.weights import entropy_weights, hierarchy, merge, most_inconsistent
from twin.risk.zoning import Pillars, Profile, levels, risk_index

NINTH = 1.0 / 9.0
THIRD = 1.0 / 3.0


def test_saaty_s_drinks_get_his_weights() -> None:
    matrix = np.array(
        [
            [1, 9, 5, 2, 1, 1, 0.5],
            [NINTH, 1, THIRD, NINTH, NINTH, NINTH, NINTH],
            [0.2, 3, 1, THIRD, 0.25, THIRD, NINTH],
            [0.5, 9, 3, 1, 0.5, 1, THIRD],
            [1, 9, 4, 2, 1, 2, 0.5],
            [1, 9, 3, 1, 0.5, 1, THIRD],
            [2, 9, 9, 3, 2, 3, 1],
        ]
    )
    found = hierarchy(matrix)
    assert found.weights == pytest.approx([0.177, 0.019, 0.042, 0.116, 0.190, 0.129, 0.327], abs=1e-3)
    assert found.eigenvalue == pytest.approx(7.1766, abs=1e-3)
    assert found.ratio == pytest.approx(0.0223, abs=1e-3)


def test_five_criteria_get_the_published_weights() -> None:
    matrix = np.array(
        [
            [1, 0.5, 4, 3, 3],
            [2, 1, 7, 5, 5],
            [0.25, 1 / 7, 1, 0.5, THIRD],
            [THIRD, 0.2, 2, 1, 1],
            [THIRD, 0.2, 3, 1, 1],
        ]
    )
    found = hierarchy(matrix)
    assert found.weights == pytest.approx([0.2636, 0.4758, 0.0538, 0.0981, 0.1087], abs=1e-3)
    assert found.eigenvalue == pytest.approx(5.0721, abs=1e-3)
    assert found.index == pytest.approx(0.0180, abs=1e-3)
    assert found.ratio == pytest.approx(0.0161, abs=1e-3)


def test_consistent_judgements_give_their_own_ratios() -> None:
    truth = np.array([8.0, 4.0, 2.0, 1.0]) / 15.0
    found = hierarchy(truth[:, None] / truth[None, :])
    assert found.weights == pytest.approx(truth, abs=1e-12)
    assert found.eigenvalue == pytest.approx(4.0, abs=1e-12)
    assert found.ratio == pytest.approx(0.0, abs=1e-12)


def test_the_spoilt_judgement_is_found() -> None:
    truth = np.array([8.0, 4.0, 2.0, 1.0])
    matrix = truth[:, None] / truth[None, :]
    matrix[0, 3], matrix[3, 0] = 0.2, 5.0
    assert {0, 3} <= set(most_inconsistent(matrix))


def test_entropy_weights_of_the_worked_table() -> None:
    table = np.array([[0.3, 0.9, 0.1], [0.4, 0.1, 0.7], [0.5, 0.5, 0.5], [0.6, 0.3, 0.2]])
    assert entropy_weights(table) == pytest.approx([0.066637, 0.476725, 0.456637], abs=1e-6)


def test_merged_weights_solve_their_equations() -> None:
    judged, entropy = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    found = merge(judged, entropy)
    system = np.array([[judged @ judged, judged @ entropy], [judged @ entropy, entropy @ entropy]])
    alpha = np.linalg.solve(system, [judged @ judged, entropy @ entropy])
    assert [found.share_judged, found.share_entropy] == pytest.approx(alpha / alpha.sum())
    assert found.weights.sum() == pytest.approx(1.0)


def test_equal_sets_merge_to_themselves() -> None:
    same = np.array([0.5, 0.3, 0.2])
    assert merge(same, same).weights == pytest.approx(same)


def test_risk_index_of_the_worked_unit() -> None:
    one = np.array([1.0])
    found = risk_index(Pillars(0.8 * one, 0.5 * one, 0.6 * one, 0.5 * one))
    assert found[0] == pytest.approx(0.497157, abs=1e-6)
    assert found[0] == pytest.approx(0.24 ** (1 / 3) * 0.8, abs=1e-12)


@pytest.mark.parametrize("nothing", [0, 1, 2])
def test_no_hazard_no_exposure_or_no_vulnerability_is_no_risk(nothing: int) -> None:
    values = [np.array([0.9]), np.array([0.9]), np.array([0.9])]
    values[nothing] = np.array([0.0])
    assert risk_index(Pillars(*values, np.array([0.0])))[0] == 0.0


def one_pillar(x: list[float]) -> Profile:
    same = np.ones((1, 1))
    return Profile(
        keys=("t", "a", "b", "c", "v", "k"),
        triggers=0.5 * same,
        exposure=np.array([x]),
        vulnerability=same,
        capacity=0.0 * same,
        trigger_weights=np.ones(1),
        exposure_weights=np.array([0.5, 0.3, 0.2]),
        vulnerability_weights=np.ones(1),
        capacity_weights=np.ones(1),
    )


def test_contributions_of_the_worked_pillar_add_up() -> None:
    here, there = one_pillar([0.9, 0.2, 0.6]), one_pillar([0.4, 0.5, 0.3])
    # The worked numbers are of the pillar alone; in the index it has a third of the say.
    phi = 3.0 * contributions(here, there)[0]
    assert phi[1:4] == pytest.approx([0.488139, -0.175730, 0.117153], abs=1e-6)
    assert phi.sum() == pytest.approx(0.429563, abs=1e-6)
    assert phi.sum() == pytest.approx(3.0 * log_ratio(here, there)[0], abs=1e-12)
    assert phi[[0, 4, 5]] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_fewer_units_are_high_after_the_risk_is_cut_by_a_fifth() -> None:
    score = np.random.default_rng(7).random(2000)
    fixed = np.array([0.2, 0.4, 0.6, 0.8])
    before, after = levels(score, fixed), levels(0.8 * score, fixed)
    assert (after == 5).sum() == 0 < (before == 5).sum()
    assert (after <= before).all()


def test_loss_of_four_assets_and_three_events() -> None:
    value = np.array([1.0, 2.0, 0.5, 4.0]) * 1e6
    depth = np.array([[0.2, 0.5, 0, 0], [0.6, 1, 0.1, 0], [1.5, 2, 0.8, 0.3]])
    curve = {"unknown": (np.array([0, 0.5, 1, 2, 3.0]), np.array([0, 0.2, 0.4, 0.7, 1.0]))}
    frequency = np.array([0.08, 0.01, 0.01])
    found = losses(damage_ratio(depth, np.array(["x"] * 4), curve), value, frequency)
    assert found.by_event == pytest.approx([0.48e6, 1.06e6, 2.59e6], abs=1e-6)
    assert found.annual == pytest.approx(74_900, abs=1e-6)
    assert found.by_asset == pytest.approx([14_300, 54_000, 1_800, 4_800], abs=1e-6)
    loss, often = exceedance(found, frequency)
    assert loss.tolist() == sorted(loss.tolist(), reverse=True)
    assert often == pytest.approx([0.01, 0.02, 0.10])
