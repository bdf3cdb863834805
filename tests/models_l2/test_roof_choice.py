"""Which roof a building gets, and what is said where it gets another one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from models_l2.footprints import from_polygons
from models_l2.roofs import ROOFS, RoofOptions, RoofRule, TypeOptions, batch_of, build_roofs, choose, grid
from models_l2.roofs.choice import roof_words, rules_of
from twin.errors import OptionsError
from twin.options import as_table, describe_options, read_options


def texts(*words):
    return np.array(words, dtype=object)


def options(*rules, **more):
    return read_options(RoofOptions, {"rules": list(rules), **more}, "[l2.roofs]")


def batch(shape, ridge=math.nan, eave=math.nan, floor=2.0, slope=math.nan):
    rings = from_polygons(np.array([shape], dtype=object), 0.001)
    one = np.ones(1)
    return batch_of(rings, floor * one, ridge * one, eave * one, slope * one, RoofOptions())


def built(shape, name, **heights):
    return build_roofs(batch(shape, **heights), texts(name), ROOFS, TypeOptions(), 0.001)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("flat", "flat"), ("skillion", "shed"), ("half-hipped", "half_hipped"), ("Half Hipped", "half_hipped"),
        ("1000", "flat"), ("2100", "shed"), ("3100", "gabled"), ("3200", "hipped"), ("3300", "half_hipped"),
        ("3400", "mansard"), ("3500", "pyramidal"), ("https://example.org/codes/RoofType#3100", "gabled"),
        ("平屋顶", "flat"), ("悬山", "gabled"), ("硬山顶", "gabled"), ("庑殿", "hipped"), (" 歇山 ", "hip_and_gable"),
        ("攒尖", "pyramidal"), ("盝顶", "flat_topped"), ("hip_and_gable", "hip_and_gable"),
    ],
)  # fmt: skip
def test_sources_say_roof_types_in_many_words(word, kind):
    found = choose({"roof_type": texts(word)}, options(), ROOFS)
    assert (found.kind[0], found.how[0], found.said[0]) == (kind, "attribute", "")


def test_every_word_of_the_table_means_a_type_that_there_is():
    assert {name for name, _ in roof_words().values()} <= {kind.card.name for kind in ROOFS}


def test_words_that_only_come_near_or_are_not_known_are_reported():
    found = choose({"roof_type": texts("onion", "bubble", "")}, options(), ROOFS)
    assert found.kind.tolist() == ["pyramidal", "flat", "flat"]
    assert found.how.tolist() == ["attribute", "default", "default"]
    assert "onion" in found.said[0]
    assert "not understood: bubble" in found.said[1]
    assert found.said[2] == ""


def test_the_first_rule_that_fits_holds_and_unknown_numbers_fit_no_bound():
    rules = (
        {"type": "hipped", "function": ["religious", "heritage"]},
        {"type": "gabled", "function": ["residential"], "storeys_max": 3, "slope": 25},
        {"type": "shed", "zone": ["works"], "area_min": 500.0},
        {"type": "mansard", "structure": ["timber"]},
    )
    facts = {
        "roof_type": texts("", "", "", "", "", "平屋顶"),
        "function": texts("heritage", "residential", "residential", "residential", "industrial", "residential"),
        "storeys": np.array([1.0, 2.0, 6.0, math.nan, 1.0, 1.0]),
        "area": np.array([100.0, 100.0, 900.0, 100.0, 900.0, 100.0]),
        "zone": texts("", "", "works", "works", "works", "works"),
    }
    found = choose(facts, options(*rules), ROOFS)
    assert found.kind.tolist() == ["hipped", "gabled", "shed", "flat", "shed", "flat"]
    assert found.how.tolist() == ["rule 1", "rule 2", "rule 3", "default", "rule 3", "attribute"]
    assert found.slope[1] == 25.0
    assert np.isnan(found.slope[[0, 2, 3, 4, 5]]).all()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"type": "thatch"}, "rule 1: no roof type 'thatch'"),
        ({"typ": "flat"}, "rule 1: unknown key 'typ'; did you mean 'type'"),
        ({"type": "flat", "slope": 80.0}, "rule 1.slope: 80.0 deg is above"),
        ("flat", "rule 1: expected a table"),
    ],
)
def test_a_wrong_rule_is_one_line_that_names_it(rule, told):
    with pytest.raises(OptionsError, match=told):
        rules_of(options(rule), ROOFS)


def test_options_have_sentences_and_survive_their_own_table():
    given = options({"type": "gabled", "function": ["residential"]}, otherwise="hipped")
    assert read_options(RoofOptions, as_table(given)) == given
    for cls in (RoofOptions, RoofRule):
        for key, fieldset, _ in describe_options(cls, "l2.roofs"):
            assert fieldset.metadata["doc"].endswith("."), key


def test_a_round_gable_becomes_a_hip_and_says_why():
    found = built(shapely.Point(0, 0).buffer(8.0), "gabled", ridge=10.0)
    assert found.built.tolist() == ["hipped"]
    assert "双坡 gabled" in found.reason[0]
    assert "no end that could be a gable" in found.reason[0]


def test_no_room_above_the_walls_ends_as_a_flat_roof_at_the_ridge():
    found = built(shapely.box(0, 0, 20, 10), "gabled", ridge=4.05, floor=4.0)
    assert found.built.tolist() == ["flat"]
    assert found.partition.heights() == pytest.approx(4.05)
    assert "no room" in found.reason[0]


def test_heights_known_on_both_sides_decide_the_slope():
    z = built(shapely.box(0, 0, 20, 10), "gabled", ridge=9.0, eave=6.0, slope=45.0).partition.heights()
    assert (z.min(), z.max()) == (pytest.approx(6.0, abs=0.005), pytest.approx(9.0, abs=0.005))


def test_with_the_ridge_alone_the_slope_gives_the_eaves_and_never_below_the_floor():
    z = built(shapely.box(0, 0, 20, 10), "hipped", ridge=12.0, slope=45.0).partition.heights()
    assert (z.min(), z.max()) == (pytest.approx(7.0, abs=0.005), pytest.approx(12.0, abs=0.005))
    z = built(shapely.box(0, 0, 20, 10), "hipped", ridge=6.0, slope=45.0, floor=3.0).partition.heights()
    assert (z.min(), z.max()) == (pytest.approx(3.0, abs=0.005), pytest.approx(6.0, abs=0.005))


def test_a_building_without_any_height_has_no_roof_and_says_so():
    found = built(shapely.box(0, 0, 20, 10), "hipped")
    assert found.built.tolist() == [""]
    assert "neither eaves nor ridge known" in found.reason[0]
    assert len(found.partition.plane) == 0


def test_ridges_follow_the_longer_side():
    partition = built(shapely.box(0, 0, 10, 30), "gabled", ridge=9.0).partition
    ridge = partition.rings.xy[partition.heights() > 8.99]
    assert ridge[:, 0] == pytest.approx(5.0, abs=0.001)


def test_faces_that_a_coarse_grid_folds_are_cut_anew_and_the_courtyard_stays_open(monkeypatch):
    turned = []
    noded = grid._noded
    monkeypatch.setattr(grid, "_noded", lambda *given: turned.append(given[2]) or noded(*given))
    outer = [(10, 5), (15, 15), (-4, 19), (-7, 5), (-20, 1), (-9, -11), (-1, -9), (4, -9), (12, -2)]
    court = [(4, -1), (1, -3), (0, -3), (-3, -3), (-6, 0), (-2, 2), (-1, 6), (4, 4), (3, 2)]
    rings = from_polygons(np.array([shapely.Polygon(outer, [court])], dtype=object), 0.25)
    heights = (np.array([v]) for v in (2.0, 12.0, math.nan, 30.0))
    asked = batch_of(rings, *heights, RoofOptions())
    found = build_roofs(asked, texts("hipped"), ROOFS, TypeOptions(), 0.25)
    assert turned == [0]
    assert found.built.tolist() == ["hipped"]
    assert found.partition.rings.areas().sum() == pytest.approx(522.0)


def test_types_are_registered_once():
    with pytest.raises(OptionsError, match="registered twice"):
        ROOFS.register(ROOFS["flat"])
    assert "thatch" not in ROOFS
