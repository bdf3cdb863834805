"""Pipes: closed tubes of the right volume along any line, at the depth that is told or usual."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from models_l2.classes.options import ClassOptions
from models_l2.classes.pipes import LOD_KNOWN, LOD_USUAL, lay_pipes, pipe_jobs
from models_l2.classes.tubes import SIDES, may_bend, polygon_share, raise_tubes
from tests.models_l2.conftest import FRAME, SOUTH, WEST
from twin.analysis.shells import check_shells
from twin.features import Layer, objects
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.meshes import Solids, concatenate
from twin.store.folder import FolderStore


def as_solids(tubes) -> Solids:
    n, m = len(tubes.vertex_count), len(tubes.faces)
    ends = [np.concatenate([[0], np.cumsum(part)]).astype(np.int64) for part in (tubes.vertex_count, tubes.face_count)]
    oid = objects([f"p{k}" for k in range(n)])
    plain = [np.zeros(m, np.uint8), *ends, np.full(n, 20, np.uint8), np.zeros(m, np.uint8)]
    return Solids(FRAME, oid, tubes.vertices, tubes.faces.astype(np.int32), *plain)


turns = st.lists(st.tuples(st.floats(-2.0, 2.0), st.floats(-0.4, 0.4), st.floats(0.5, 30.0)), min_size=1, max_size=7)


@settings(max_examples=60)
@given(pipes=st.lists(st.tuples(turns, st.floats(0.02, 1.5)), min_size=1, max_size=4))
def test_every_tube_that_may_bend_is_a_valid_solid_of_the_volume_of_its_line(pipes):
    lines, radius = [], np.array([r for _, r in pipes])
    for steps, _ in pipes:
        heading = np.cumsum([turn for turn, _, _ in steps])
        way = [
            (np.cos(h) * np.cos(rise) * long, np.sin(h) * np.cos(rise) * long, np.sin(rise) * long)
            for h, (_, rise, long) in zip(heading, steps, strict=True)
        ]
        lines.append(np.concatenate([[[0.0, 0.0, 0.0]], np.cumsum(way, axis=0)]) + np.array([WEST, SOUTH, 1000.0]))
    counts = np.array([len(line) for line in lines])
    xyz = np.concatenate(lines)
    solids = as_solids(raise_tubes(xyz, counts, radius))
    fit = may_bend(xyz, counts, radius)
    assert solids.take(np.flatnonzero(fit)).is_closed().all()
    length = np.array([np.sqrt((np.diff(line, axis=0) ** 2).sum(axis=1)).sum() for line in lines])
    expected = np.pi * radius**2 * length * polygon_share()
    assert np.allclose(solids.volumes()[fit], expected[fit], rtol=1e-4)
    # A line that comes back to itself may still be cut; nothing else is wrong with a tube that may bend.
    assert set(check_shells(solids)[fit].tolist()) <= {0, 306}
    straight = fit & (counts == 2)
    assert (check_shells(solids)[straight] == 0).all()


def test_the_section_is_that_of_a_circle_within_five_percent():
    assert polygon_share(SIDES) == pytest.approx(0.9549, abs=1e-4)


def store_with(folder) -> FolderStore:
    """Ground that falls one metre in ten towards the east, with a mound in the middle."""
    store = FolderStore(folder / ".twin", FRAME)
    box = GeoBox.from_bounds((WEST, SOUTH, WEST + 200.0, SOUTH + 200.0), 2.0, FRAME)
    x, _ = np.meshgrid(*box.centers())
    z = 1000.0 - 0.1 * (x - WEST) + 3.0 * np.exp(-((x - WEST - 100.0) ** 2) / 400.0)
    store.write_raster("relief", Raster(z.astype(np.float32), box), Lineage("test"))
    return store


def laid(folder, lines, **columns):
    geometry = [shapely.LineString(np.array(line) + np.array([WEST, SOUTH])) for line in lines]
    layer = Layer.build("pipe", FRAME, [f"p{k}" for k in range(len(lines))], objects(geometry), columns)
    parts = [lay_pipes(job) for job in pipe_jobs(store_with(folder), FRAME, layer, 1000.0, ClassOptions())]
    solids = concatenate([part.solids for part in parts])
    assert (check_shells(solids) == 0).all()
    return solids, [outcome for part in parts for outcome in part.outcomes], parts


def ends(solids, row: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """(lowest, highest) height of the corners at the first and at the last section."""
    z = solids.vertices[solids.vertex_offset[row] : solids.vertex_offset[row + 1], 2].reshape(-1, SIDES)
    return (z[0].min(), z[0].max()), (z[-1].min(), z[-1].max())


def test_depths_are_to_the_top_of_pipes_and_to_the_invert_of_drains(tmp_path):
    line = [(20, 100), (20, 180)]
    solids, lost, _ = laid(
        tmp_path, [line] * 3, medium=["water", "drainage", "gas"], diameter=[500.0, 800.0, 200.0],
        depth_start=[1.2, 3.0, 1.5], depth_end=[1.2, 4.0, np.nan], reference=["", "", "axis"],
    )  # fmt: skip
    assert lost == []
    ground = 1000.0 - 2.0
    (_, top), _ = ends(solids, 0)
    assert top == pytest.approx(ground - 1.2, abs=0.02)
    (low, high), (far, _) = ends(solids, 1)
    assert low == pytest.approx(ground - 3.0, abs=0.03)
    assert high - low == pytest.approx(0.8, abs=0.03)
    assert far == pytest.approx(ground - 4.0, abs=0.03)
    (low, high), _ = ends(solids, 2)
    assert (low + high) / 2 == pytest.approx(ground - 1.5, abs=0.01)
    assert solids.lod.tolist() == [LOD_KNOWN] * 3


def test_water_follows_the_ground_and_a_drain_runs_straight_below_the_mound(tmp_path):
    line = [(40, 50), (160, 50)]
    solids, _, _ = laid(
        tmp_path, [line, line], medium=["water", "drainage"], diameter=[300.0, 300.0], depth_start=[2.0, 2.0],
        depth_end=[2.0, 2.0],
    )  # fmt: skip
    highest = []
    for row in range(2):
        part = solids.vertices[solids.vertex_offset[row] : solids.vertex_offset[row + 1]]
        axis = part.reshape(-1, SIDES, 3).mean(axis=1)
        highest.append(np.interp(WEST + 100.0, axis[:, 0], axis[:, 2]))
    assert highest[0] == pytest.approx(1000.0 - 10.0 + 3.0 - 2.0 - 0.15, abs=0.15)
    assert highest[1] == pytest.approx(1000.0 - 10.0 - 2.0 + 0.15, abs=0.05)


def test_levels_count_before_depths_and_what_is_not_told_is_usual_and_named(tmp_path):
    line = [(20, 20), (120, 20)]
    solids, lost, parts = laid(
        tmp_path, [line] * 2, medium=["heat", "gas"], level_start=[990.0, np.nan], level_end=[980.0, np.nan],
        reference=["axis", ""], depth_start=[5.0, np.nan],
    )  # fmt: skip
    (low, high), (far, away) = ends(solids, 0)
    assert ((low + high) / 2, (far + away) / 2) == pytest.approx((990.0, 980.0), abs=0.01)
    assert [(o.oid, o.status) for o in lost] == [("p1", "fallback")]
    assert (parts[0].without_depth, parts[0].without_diameter) == (1, 2)
    (_, top), _ = ends(solids, 1)
    assert top == pytest.approx(998.0 - 0.9, abs=0.05)
    assert solids.lod.tolist() == [LOD_USUAL] * 2


def test_a_pipe_that_turns_back_or_crosses_itself_comes_in_straight_pieces(tmp_path):
    lines = [[(20, 20), (60, 20), (20, 20.5)], [(20, 100), (60, 140), (60, 100), (20, 140)]]
    solids, lost, _ = laid(
        tmp_path, lines, medium=["water", "water"], diameter=[400.0] * 2, level_start=[990.0] * 2,
        level_end=[990.0] * 2,
    )  # fmt: skip
    assert sorted(o.oid for o in lost) == ["p0", "p1"]
    assert solids.oid.tolist() == ["p0", "p0~2", "p1", "p1~2", "p1~3"]
    assert solids.attributes["owner"].tolist() == ["p0", "p0", "p1", "p1", "p1"]


def test_a_pipe_that_comes_above_the_ground_says_so(tmp_path):
    store = FolderStore(tmp_path, FRAME)
    box = GeoBox.from_bounds((WEST - 50.0, SOUTH - 50.0, WEST + 250.0, SOUTH + 50.0), 5.0, FRAME)
    x, _ = np.meshgrid(*box.centers())
    dip = np.where(np.abs(x - WEST - 100.0) < 20.0, 995.0, 1000.0)
    store.write_raster("relief", Raster(dip.astype(np.float32), box), Lineage("test"))
    line = shapely.LineString([(WEST, SOUTH), (WEST + 200.0, SOUTH)])
    columns = {"medium": ["gas", "gas"], "diameter": [200.0, 200.0], "level_start": [998.0, 990.0],
               "level_end": [998.0, 990.0]}  # fmt: skip
    layer = Layer.build("pipe", FRAME, ["high", "low"], [line, line], columns)
    (part,) = [lay_pipes(job) for job in pipe_jobs(store, FRAME, layer, 1000.0, ClassOptions())]
    assert part.above_ground == 1
    assert [(outcome.oid, "above the ground" in outcome.reason) for outcome in part.outcomes] == [("high", True)]
