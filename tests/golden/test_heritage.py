"""Known answers of the builders' rules and of the monuments; K numbers are those of the heritage reference."""

from __future__ import annotations

import numpy as np
import pytest

from models_l3 import rules
from models_l3.facts import table
from models_l3.hall import Part, fitted, hall
from models_l3.roofs.kinds import RoofSpec, build_roof, eave_area
from models_l3.roofs.shell import Corner, profile_of
from models_l3.structures import archway, screen_wall
from models_l3.style import Style, styles
from models_l3.walls.pieces import wall_facts
from twin.errors import GeometryError, OptionsError


def built(key: str) -> tuple[Style, dict[str, Part]]:
    """A monument of the table at its published size, by part."""
    style = styles()[key]
    makers = {"hall": hall, "screen_wall": screen_wall, "pailou": archway}
    whole = fitted(style, style.size) if style.form == "hall" else style
    ground = -style.platform if style.form == "hall" else 0.0
    return style, {part.kind: part for part in makers[style.form](whole, style.size, ground)}


def plan_of(part: Part) -> tuple[float, float]:
    v = part.mesh.vertices
    return float(np.ptp(v[:, 0])), float(np.ptp(v[:, 1]))


def test_k01_a_hall_of_eight_rafters_folds_as_the_text_computes() -> None:
    section = rules.juzhe([7.5] * 4, rules.raise_ratio("hall") * 60)
    assert section.z == pytest.approx([20.0, 13.0, 7.6667, 3.3333, 0.0], abs=1e-3)


def test_k02_the_drops_are_a_tenth_and_then_halves() -> None:
    section = rules.juzhe([1.0] * 5, 20.0)
    x, z = section.y, section.z
    string = [z[k - 1] * (1 - (x[k] - x[k - 1]) / (x[-1] - x[k - 1])) for k in range(1, 5)]
    assert np.array(string) - z[1:5] == pytest.approx([2.0, 1.0, 0.5, 0.25], abs=1e-12)


def test_k03_a_hall_of_thirty_chi_rises_ten() -> None:
    assert rules.raise_ratio("hall") * 30 == pytest.approx(10.0, abs=1e-12)


@pytest.mark.parametrize(
    ("reading", "expected"), [("multiplicative", [8.1, 4.59, 1.89, 0.0]), ("additive", [9.9, 5.61, 2.31, 0.0])]
)
def test_k04_a_ting_tang_follows_the_reading_that_was_chosen(reading: str, expected: list[float]) -> None:
    ratio = rules.raise_ratio("ting_tang_tube", reading)
    assert rules.juzhe([5.0] * 3, ratio * 30).z == pytest.approx(expected, abs=1e-9)


def test_k04_an_ambiguous_rule_without_a_reading_is_refused() -> None:
    with pytest.raises(OptionsError, match="two readings"):
        rules.raise_ratio("ting_tang_tube")
    with pytest.raises(OptionsError, match="two readings"):
        rules.jujia_coefficients(4)


def test_k05_foguang_purlins() -> None:
    section = rules.juzhe([21.548 / 8] * 4, 4.851)
    assert section.z == pytest.approx([4.851, 3.1532, 1.8596, 0.8085, 0.0], abs=1e-4)


def test_k06_ten_rafters_of_seventy_five_chi() -> None:
    section = rules.juzhe([7.5] * 5, 25.0)
    assert section.z == pytest.approx([25, 17.5, 11.875, 7.292, 3.333, 0], abs=1e-3)


def test_k07_ratios_of_the_eras_lie_in_what_was_measured() -> None:
    assert 0.25 <= rules.era_ratio("liao") <= 0.28
    assert 0.208 <= rules.era_ratio("tang") <= 0.227
    assert rules.era_ratio("song") == pytest.approx(1 / 3)
    with pytest.raises(OptionsError, match="qing"):
        rules.era_ratio("qing")


def test_k08_and_k09_measured_halls_against_the_rule() -> None:
    assert pytest.approx(0.2535, abs=1e-3) == 7.28 / 28.72
    liao = next(row for row in table("eras") if row["era"] == "liao")
    assert liao["lowest"] <= 7.28 / 28.72 <= liao["highest"]
    assert (5.52 / 16.65) / rules.raise_ratio("hall") - 1 == pytest.approx(-0.0055, abs=2e-4)


def test_k10_k11_k12_jujia_rises_from_the_eave() -> None:
    four = rules.jujia([4.0] * 4, rules.jujia_coefficients(4, "treatise"))
    assert four.z[::-1] == pytest.approx([0.0, 2.0, 4.6, 7.6, 11.2], abs=1e-12)
    kiosk = rules.jujia([1.25] * 2, (0.5, 0.75))
    assert kiosk.z[::-1] == pytest.approx([0.0, 0.625, 1.5625], abs=1e-12)
    assert round((20 - 2.52) / 4, 2) * 0.6 == pytest.approx(2.62, abs=0.01)


def test_a_profile_that_is_not_concave_is_refused() -> None:
    with pytest.raises(GeometryError, match="do not grow"):
        rules.jujia([1.0, 1.0], (0.9, 0.5))


def test_k17_and_k18_modules() -> None:
    assert [rules.doukou(n) for n in (1, 8, 11)] == [6.0, 2.5, 1.0]
    for row in table("cai_grades"):
        assert row["height_cun"] / 15 == pytest.approx(row["thickness_cun"] / 10, abs=1e-12)
        assert rules.cai_fen(int(row["grade"])) == pytest.approx(row["thickness_cun"] / 10, abs=1e-12)


def test_k21_corner_columns_rise_a_cun_per_bay() -> None:
    assert rules.corner_rise(9) == 8.0
    assert rules.corner_rise(3) == 2.0
    along = rules.rise_along(np.linspace(0, 1, 20), 8.0)
    assert along[0] == 0.0
    assert along[-1] == 8.0
    assert (np.diff(along) > 0).all()


def test_k22_and_k23_eaves() -> None:
    assert rules.song_eave(3.0) == pytest.approx(56.0, abs=1e-12)
    assert rules.qing_eave(2.5, 7) == pytest.approx((52.5, 75.0), abs=1e-12)


def test_k24_the_pushed_ridge_grows_at_each_end() -> None:
    assert rules.tuishan([1.0] * 4, 0.9)[-1] == pytest.approx(0.561, abs=1e-9)


def test_k25_tile_rows_of_a_bay() -> None:
    rows, pitch = rules.tile_rows(12.0, 1)
    assert rows == pytest.approx(13.3, rel=0.01)
    assert pitch == pytest.approx(0.288, rel=0.01)


def test_k26_a_shell_holds_its_plan_times_its_thickness() -> None:
    profile = profile_of(rules.juzhe([2.744] * 5, 0.25 * 27.44), 2.2)
    spec = RoofSpec("wudian", (53.7 / 2 + 2.2, 27.44 / 2 + 2.2), profile, Corner(0.0, 0.9, 5.0), 0.5)
    assert build_roof(spec).body.volume() == pytest.approx(eave_area(spec) * 0.5, rel=1e-6)
    assert eave_area(spec) == pytest.approx((53.7 + 4.4) * (27.44 + 4.4), rel=1e-9)


def test_k27_huayan_main_hall() -> None:
    style, parts = built("huayan_main_hall")
    assert (style.roof, style.bays, style.facing) == ("wudian", (9, 5), 90.0)
    assert 53.4 <= style.size[0] <= 54.3
    assert 27.1 <= style.size[1] <= 29.3
    platform = parts["platform"].mesh.vertices[:, 2]
    assert platform.max() == pytest.approx(0.0, abs=0.01)
    assert -platform.min() == pytest.approx(4.0 + 0.3, abs=0.01)
    roof = parts["roof"].mesh.vertices
    front = roof[(np.abs(roof[:, 0]) < 2.0) & (roof[:, 1] < roof[:, 1].min() + 1.0)]
    assert front[:, 2].max() == pytest.approx(9.5, abs=0.3)
    assert parts["ornaments"].mesh.vertices[:, 2].max() - roof[:, 2].max() == pytest.approx(4.5, abs=0.3)
    columns = parts["columns"].mesh.vertices
    assert np.ptp(columns[:, 0]) == pytest.approx(53.7, abs=1.3)


@pytest.mark.parametrize(
    ("key", "roof", "size", "bays"),
    [
        ("huayan_bojiajiaozang", "xieshan", (25.6, 18.4), (5, 4)),
        ("shanhua_main_hall", "wudian", (40.7, 25.5), (7, 5)),
        ("shanhua_sansheng", "wudian", (32.5, 19.2), (5, 4)),
        ("shanhua_gate", "wudian", (28.14, 10.04), (5, 2)),
    ],
)
def test_k28_k29_plans_of_the_halls(key: str, roof: str, size: tuple[float, float], bays: tuple[int, int]) -> None:
    style, parts = built(key)
    assert (style.roof, style.bays) == (roof, bays)
    body = parts["body"].mesh.vertices
    wall = body[body[:, 2] > 1.0]
    assert (np.ptp(wall[:, 0]), np.ptp(wall[:, 1])) == pytest.approx(size, abs=0.2)
    assert parts["platform"].evidence in ("documented", "inferred")


def test_k30_dragon_wall() -> None:
    style, parts = built("nine_dragon_wall")
    top = max(p.mesh.vertices[:, 2].max() for p in parts.values())
    assert top == pytest.approx(8.0, abs=0.05)
    panel = parts["panel"].mesh.vertices
    assert np.ptp(panel[:, 0]) == pytest.approx(45.5, abs=0.05)
    assert parts["platform"].mesh.vertices[:, 2].max() == pytest.approx(2.09, abs=0.05)
    beam_and_sets = len(parts["brackets"].mesh.faces) // 12
    assert beam_and_sets - 1 == style.count == 62
    assert style.facing == 0.0


def test_k31_drum_tower() -> None:
    style, parts = built("drum_tower")
    assert style.size[0] * style.size[1] == pytest.approx(253.0, abs=1.0)
    assert style.roof == "shizi_xieshan"
    assert len(style.tiers) == 3
    top = max(p.mesh.vertices[:, 2].max() for p in parts.values()) + style.platform
    assert top == pytest.approx(20.0, abs=1.0)


def test_k32_k33_k34_the_town_wall() -> None:
    facts = wall_facts("datong")
    assert facts.perimeter == pytest.approx(7240.0, rel=0.01)
    assert 4 * facts.half[0] * facts.half[1] / 1e6 == pytest.approx(3.28, rel=0.01)
    assert facts.section.area == 210.0
    assert 2 * 580 * facts.parapet.module == pytest.approx(6380.0)
    assert 13 * 576 / facts.perimeter == pytest.approx(1.0, abs=0.04)
    assert 4.2 * 3.2 / facts.section.height == pytest.approx(1.0, abs=0.05)
    assert len(facts.table["contradictions"]) >= 3


def test_k35_the_treatise_wall() -> None:
    assert rules.song_wall(40.0) == (60.0, 40.0)
    assert rules.song_wall(41.0) == (61.0, 40.5)


@pytest.mark.parametrize(
    ("key", "height"), [("four_archways", 14.43), ("kuixing_tower", 31.24), ("huayan_pagoda", 43.0)]
)
def test_k36_documented_total_heights_are_met(key: str, height: float) -> None:
    style = styles()[key]
    size = style.size if style.size[0] else (18.0, 18.0)
    if style.form == "pailou":
        made, below = archway(style, size, 0.0), 0.0
    else:
        made, below = hall(fitted(style, size), size, -style.platform), style.platform
    assert max(p.mesh.vertices[:, 2].max() for p in made) + below == pytest.approx(height, abs=0.05)
    if key == "four_archways":
        assert plan_of(next(p for p in made if p.kind == "roof"))[0] == pytest.approx(19.2, abs=0.05)
    if key == "kuixing_tower":
        assert (style.sides, len(style.tiers), style.roof) == (8, 3, "kuiding")


def test_a_bent_table_entry_bends_the_module() -> None:
    fen = [rules.cai_fen(grade) for grade in range(1, 9)]
    assert len(set(fen)) == 8
    assert fen == sorted(fen, reverse=True)
