"""Halls and styles: every monument of the table is closed, within budget, and speaks of its evidence."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
import trimesh

from models_l3.evidence import LEVELS, level, uncertainty
from models_l3.fabric import rectangles
from models_l3.facts import table
from models_l3.hall import fitted, hall
from models_l3.monuments import Site, completed, orientation
from models_l3.plan import bay_lines, perimeter_columns
from models_l3.style import Style, style_for, styles
from twin.errors import GeometryError, NotFoundError, OptionsError

KNOWN = styles()
HALLS = sorted(key for key, style in KNOWN.items() if style.form == "hall" and style.roof and style.bays[0])


def ready(key: str) -> tuple[Style, tuple[float, float]]:
    style = KNOWN[key]
    size = style.size if style.size[0] else (18.0, 16.0 if style.sides == 4 else 18.0)
    return completed(style, Site("x", "", key, "", np.nan, np.nan), size), size


@pytest.mark.parametrize("key", HALLS)
def test_every_part_is_closed_outward_and_within_budget(key: str) -> None:
    style, size = ready(key)
    parts = hall(style, size, -style.platform)
    for part in parts:
        body = trimesh.Trimesh(part.mesh.vertices, part.mesh.faces, process=False)
        assert body.is_watertight, part.kind
        assert body.is_winding_consistent, part.kind
        assert part.mesh.volume() > 0, part.kind
        assert part.evidence in LEVELS
    assert sum(len(p.mesh.faces) for p in parts) <= 13_000
    assert len({p.kind for p in parts}) == len(parts)


def test_a_nine_bay_hall_takes_less_than_a_second() -> None:
    style, size = ready("huayan_main_hall")
    start = perf_counter()
    hall(style, size, -4.0)
    assert perf_counter() - start < 1.0


def test_the_platform_reaches_below_the_ground() -> None:
    style, size = ready("shanhua_gate")
    low = min(p.mesh.vertices[:, 2].min() for p in hall(style, size, -2.5))
    assert low <= -2.5 - 0.3 + 1e-9


def test_columns_stand_on_the_bays_and_the_centre_bay_is_widest() -> None:
    lines = bay_lines(53.7, 9)
    widths = np.diff(lines)
    assert len(widths) == 9
    assert widths.argmax() == 4
    assert widths == pytest.approx(widths[::-1])
    columns, middles, out = perimeter_columns((26.85, 13.72), (9, 5))
    assert len(columns) == len(middles) == 28
    assert np.linalg.norm(out, axis=1) == pytest.approx(1.0)
    with pytest.raises(GeometryError, match="bay"):
        bay_lines(10.0, 0)


def test_a_documented_height_is_met_by_stretching_the_columns() -> None:
    style, size = ready("bell_tower")
    whole = fitted(style, size)
    top = max(p.mesh.vertices[:, 2].max() for p in hall(whole, size, -style.platform))
    assert top + style.platform == pytest.approx(20.0, abs=0.02)


@pytest.mark.parametrize(
    ("name", "turn", "expected"),
    [
        ("东配殿", 0.0, 270.0),
        ("西廊", 0.0, 90.0),
        ("大殿", 0.0, 90.0),
        ("大殿", np.pi / 2, 180.0),
        ("北坊", np.pi / 2, 0.0),
    ],
)
def test_halls_look_where_name_and_plan_say(plan, name: str, turn: float, expected: float) -> None:
    box = rectangles(np.array([plan(0, 0, 8.0, 20.0, turn)], dtype=object))
    angle, frontage, depth = orientation(KNOWN["hall"], name, box)
    looks = np.degrees(np.pi - angle) % 360
    assert looks == pytest.approx(expected, abs=1e-6)
    assert (frontage, depth) == pytest.approx((20.0, 8.0))


def test_a_family_key_serves_what_has_no_own_entry() -> None:
    assert style_for("daiwang_palace_gate", KNOWN).key == "daiwang_palace*"
    assert style_for("drum_tower", KNOWN).key == "drum_tower"
    with pytest.raises(NotFoundError, match=r"monuments\.toml"):
        style_for("nothing_like_it", KNOWN)


def test_sources_of_every_style_are_in_the_bibliography() -> None:
    known = {str(row["id"]) for row in table("bibliography")}
    for key, style in KNOWN.items():
        assert set(style.sources.split()) <= known, key


def test_rebuilt_things_are_never_called_original() -> None:
    for style in KNOWN.values():
        if style.era == "new":
            assert not style.fabric.startswith("original"), style.key


def test_uncertainty_weighs_by_volume() -> None:
    assert uncertainty(np.array([3.0, 1.0]), np.array([2.0, 6.0])) == pytest.approx(3.0)
    assert np.isnan(uncertainty(np.zeros(2), np.ones(2)))
    with pytest.raises(OptionsError, match="rumour"):
        level("rumour")
