"""Checks of finished solids on arrays, under the error numbers of val3dity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.meshes import Solids, Surface

CODES: Mapping[int, str] = {
    0: "",
    102: "面退化 / 102 CONSECUTIVE_POINTS_SAME: a face without area",
    204: "面不平 / 204 NON_PLANAR_POLYGON: ground or roof is not level",
    301: "面数不足 / 301 TOO_FEW_POLYGONS: fewer than four faces",
    302: "壳不封闭 / 302 SHELL_NOT_CLOSED: an edge without its opposite",
    306: "屋面与地面不符 / 306 SHELL_SELF_INTERSECTION: triangles overlap",
    405: "朝向错误 / 405 WRONG_ORIENTATION_SHELL: volume is not positive",
}

MIN_FACE_AREA = 1e-8
AREA_TOLERANCE = 1e-6


def check(solids: Solids) -> NDArray[np.int64]:
    """(b,) the first val3dity error number of every block, 0 where it is valid; CODES has the words.

    Covered: too few faces, faces without area, open or non-manifold shells, caps that are not level (roofs below LoD2
    and all grounds), caps that overlap themselves
    (their triangles cover more than their outline), shells that look inward.
    """
    result = np.zeros(len(solids), np.int64)
    found = (
        (405, ~(solids.volumes() > 0.0)),
        (306, _overlapping(solids)),
        (204, _tilted(solids)),
        (302, ~solids.is_closed()),
        (102, _degenerate(solids)),
        (301, np.diff(solids.face_offset) < 4),
    )
    for code, wrong in found:
        result[wrong] = code
    return result


def _normals(solids: Solids) -> NDArray[np.float64]:
    """(m, 3) cross product of every face: its normal, as long as twice its area."""
    a, b, c = (solids.vertices[solids.faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def _degenerate(solids: Solids) -> NDArray[np.bool_]:
    twice = np.sqrt((_normals(solids) ** 2).sum(axis=1))
    return _any(solids, ~(twice > 2.0 * MIN_FACE_AREA))


def _tilted(solids: Solids) -> NDArray[np.bool_]:
    z = solids.vertices[:, 2][solids.faces]
    flat = (solids.lod < 20)[solids.face_owner()]
    level = (solids.surface == Surface.GROUND) | (flat & (solids.surface == Surface.ROOF))
    return _any(solids, level & ~(np.ptp(z, axis=1) <= AREA_TOLERANCE))


def _overlapping(solids: Solids) -> NDArray[np.bool_]:
    """True where a cap has a triangle that looks the wrong way: with all edges paired, that is an overlap."""
    up = _normals(solids)[:, 2]
    wrong = (solids.surface == Surface.ROOF) & (up < -MIN_FACE_AREA)
    return _any(solids, wrong | ((solids.surface == Surface.GROUND) & (up > MIN_FACE_AREA)))


def _any(solids: Solids, wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.bincount(solids.face_owner(), weights=wrong, minlength=len(solids)) > 0
