"""Laws of the roof shell on random roofs: closed, outward, volume by plan, concave, corners lifted."""

from __future__ import annotations

import numpy as np
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from models_l3 import rules
from models_l3.mesh import Mesh
from models_l3.roofs.kinds import RoofSpec, build_roof, eave_area
from models_l3.roofs.ornaments import RidgeStyle, ornaments, ridges
from models_l3.roofs.shell import Corner, Profile, profile_of, sheet

FULL = ("wudian", "cuanjian", "luding")
KINDS = (*FULL, "xieshan", "shizi_xieshan", "xuanshan", "juanpeng", "skirt")

roofs = st.fixed_dictionaries(
    {
        "depth": st.floats(5.0, 30.0),
        "ratio": st.floats(1.0, 2.6),
        "steps": st.integers(2, 5),
        "rise": st.floats(0.22, 0.40),
        "overhang": st.floats(0.6, 3.0),
        "chong": st.floats(0.0, 0.6),
        "qiao": st.floats(0.0, 1.2),
        "lift": st.floats(0.0, 0.4),
    }
)


def spec_of(kind: str, r: dict[str, float]) -> RoofSpec:
    steps = int(r["steps"])
    section = rules.juzhe([r["depth"] / 2 / steps] * steps, r["rise"] * r["depth"])
    profile = profile_of(section, r["overhang"])
    if kind == "skirt":
        profile = Profile(profile.t[:-1], profile.z[:-1])
    hy = r["depth"] / 2 + r["overhang"]
    hx = hy if kind in ("cuanjian", "shizi_xieshan") else r["depth"] * r["ratio"] / 2 + r["overhang"]
    corner = Corner(r["chong"], r["qiao"], r["overhang"] + r["depth"] / 2 / steps, r["lift"])
    gable = 0.8 if kind in ("xuanshan", "juanpeng") else r["overhang"] + 0.7 * r["depth"] / 2 / steps
    return RoofSpec(kind, (hx, hy), profile, corner, 0.35, gable=gable, edge=0.5, row_pitch=0.9)


def bodies(mesh: Mesh) -> list[trimesh.Trimesh]:
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert whole.is_watertight
    assert whole.is_winding_consistent
    return list(whole.split(only_watertight=False))


@settings(max_examples=20, deadline=None)
@given(kind=st.sampled_from(KINDS), r=roofs)
def test_every_roof_type_is_closed_and_looks_outward(kind: str, r: dict[str, float]) -> None:
    roof = build_roof(spec_of(kind, r))
    assert all(body.volume > 0 for body in bodies(roof.body))


@settings(max_examples=20, deadline=None)
@given(kind=st.sampled_from(FULL), r=roofs)
def test_a_full_shell_holds_plan_area_times_thickness(kind: str, r: dict[str, float]) -> None:
    spec = spec_of(kind, r)
    assert np.isclose(build_roof(spec).body.volume(), eave_area(spec) * spec.thickness, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(r=roofs)
def test_slopes_grow_towards_the_ridge_and_the_surface_never_bumps(r: dict[str, float]) -> None:
    spec = spec_of("wudian", r)
    run = np.linspace(r["overhang"], spec.profile.end, 200)
    slope = np.diff(spec.profile.height(run)) / np.diff(run)
    assert (slope > 0).all()
    steps = int(r["steps"])
    section = rules.juzhe([r["depth"] / 2 / steps] * steps, r["rise"] * r["depth"])
    assert (np.diff(section.slopes()) > 0).all()


@settings(max_examples=20, deadline=None)
@given(r=roofs)
def test_the_corner_is_never_lower_than_the_middle_of_the_eave(r: dict[str, float]) -> None:
    spec = spec_of("wudian", r)
    ring = np.array([[[-spec.half[0], -spec.half[1]], [spec.half[0], -spec.half[1]], [spec.half[0], spec.half[1]],
                      [-spec.half[0], spec.half[1]]]])  # fmt: skip
    points = sheet(np.concatenate([ring, ring * 0.5]), np.zeros(2), np.array([0.0, 5.0]), spec.corner, 12)[0]
    side = points[:12, 2]
    assert side[0] >= side.min() - 1e-12
    assert side[0] - side.min() >= (r["qiao"] + r["lift"]) * 0.99 - 1e-9


@settings(max_examples=12, deadline=None)
@given(kind=st.sampled_from(("wudian", "xieshan", "cuanjian", "shizi_xieshan", "xuanshan")), r=roofs)
def test_ridges_and_ornaments_are_closed_bodies(kind: str, r: dict[str, float]) -> None:
    roof = build_roof(spec_of(kind, r))
    style = RidgeStyle(0.9, 0.4, 0.5, chiwen=2.5, figures=3, finial=1.5)
    for mesh in (ridges(roof, style), ornaments(roof, style), roof.rows):
        if mesh is not None:
            assert all(body.volume > 0 for body in bodies(mesh))
