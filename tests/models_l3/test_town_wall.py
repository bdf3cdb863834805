"""The town wall: counts, measures, closed pieces, ground under them, passages that are open."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import trimesh

from models_l3.mesh import Mesh
from models_l3.style import styles
from models_l3.walls.gates import gate_block
from models_l3.walls.pieces import Piece, wall_facts
from models_l3.walls.ring import Parapet, WallSection, battlements, curtain, polyline
from models_l3.walls.town import build_wall
from twin.errors import GeometryError, OptionsError


def ground(xy: np.ndarray) -> np.ndarray:
    return 1045.0 + 0.002 * xy[:, 0] - 0.003 * xy[:, 1]


def winding(mesh: Mesh, point: list[float]) -> float:
    """How often a closed mesh winds round a point: 1 inside, 0 outside (solid angles of Van Oosterom and Strackee)."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] - point for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    dots = (np.einsum("ij,ij->i", p, q) * r for p, q, r in ((a, b, lc), (b, c, la), (c, a, lb)))
    angle = 2 * np.arctan2(np.einsum("ij,ij->i", a, np.cross(b, c)), la * lb * lc + sum(dots))
    return float(angle.sum() / (4 * np.pi))


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    return build_wall(wall_facts("datong"), ground, styles())


def test_towers_bastions_and_gates_are_all_there(pieces: list[Piece]) -> None:
    count = Counter(piece.key.split("/")[0] for piece in pieces)
    assert count["watch"] == 54
    assert count["bastion"] == 48
    assert count["corner_tower"] == 4
    assert count["gate"] == count["gate_tower"] == count["barbican"] == count["arrow_tower"] == count["moon_tower"] == 4
    east = sum(piece.key.startswith("watch/E") for piece in pieces)
    assert east == 12
    assert {p.name for p in pieces if p.key.startswith("gate/")} == {"和阳门", "永泰门", "清远门", "武定门"}


def test_every_piece_is_closed_and_looks_outward(pieces: list[Piece]) -> None:
    for piece in pieces:
        for part in piece.parts:
            origin = part.mesh.vertices.mean(axis=0)
            body = trimesh.Trimesh(part.mesh.vertices - origin, part.mesh.faces, process=False)
            assert body.is_watertight, (piece.key, part.kind)
            assert body.volume > 0, (piece.key, part.kind)


def test_the_walk_is_fourteen_metres_over_the_ground(pieces: list[Piece]) -> None:
    for piece in pieces:
        if piece.key.startswith("curtain"):
            v = piece.parts[0].mesh.vertices
            top = v[v[:, 2] > np.median(v[:, 2])]
            assert top[:, 2] - ground(top[:, :2]) == pytest.approx(14.0, abs=0.5)
            foot = v[v[:, 2] < np.median(v[:, 2])]
            assert (foot[:, 2] < ground(foot[:, :2]) - 1.0).all()


def test_a_straight_curtain_has_the_section_of_the_sources() -> None:
    section = WallSection(14.0, 18.0, 12.0, 0.0)
    line = polyline(np.array([[0.0, 0.0], [100.0, 0.0]]))
    n = len(line.xy)
    body = curtain(line, np.zeros(n), np.full(n, 14.0), section)
    assert body.volume() == pytest.approx(100.0 * 210.0)


def test_corners_are_mitred_so_that_no_gap_opens() -> None:
    line = polyline(np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 100.0]]))
    corner = int(np.argmax(np.linalg.norm(line.out, axis=1)))
    assert line.xy[corner] == pytest.approx([100.0, 0.0])
    assert line.offset(9.0)[corner] == pytest.approx([109.0, -9.0])


def test_the_passage_of_a_gate_is_open_from_end_to_end() -> None:
    block = gate_block((52.0, 26.0), 14.0, 3.0, (6.0, 3.6), 1.5)
    body = trimesh.Trimesh(block.vertices, block.faces, process=False)
    assert body.is_watertight
    turns = [winding(block, [0.0, y, 2.0]) for y in (-10.0, 0.0, 10.0)]
    assert turns == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert winding(block, [10.0, 0.0, 2.0]) == pytest.approx(1.0)
    assert winding(block, [0.0, 0.0, 10.0]) == pytest.approx(1.0)


def test_an_arch_that_breaks_the_top_is_refused() -> None:
    with pytest.raises(GeometryError, match="passage"):
        gate_block((52.0, 26.0), 6.0, 3.0, (6.0, 3.6), 1.5)


def test_merlons_keep_their_module() -> None:
    style = Parapet(0.9, (5.0, 0.8, 0.5), 0.5)
    mesh = battlements(np.array([[0.0, 0.0], [550.0, 0.0]]), np.zeros(2), style)
    assert len(mesh.faces) == 12 * (1 + 100)


def test_an_unknown_wall_names_the_known_ones() -> None:
    with pytest.raises(OptionsError, match="datong"):
        wall_facts("nowhere")
