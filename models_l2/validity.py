"""Is a building's solid valid? The checks of shells, and what only buildings promise: level grounds and low roofs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.analysis.shells import CODES as SHELL_CODES
from twin.analysis.shells import check_shells
from twin.meshes import Solids, Surface

CODES = {**SHELL_CODES, 203: "面不平 / 203 NON_PLANAR_POLYGON_DISTANCE_PLANE: a level ground or roof is not level"}
LEVEL = 1e-6


def check(solids: Solids) -> NDArray[np.int64]:
    """(b,) the first val3dity error number of every building, 0 where it is valid; CODES has the words.

    Self-intersection is asked of roofs of several faces, and of prisms whose caps have a triangle upside down: a prism
    over an outline without crossings cannot cut itself.
    """
    prism = solids.lod < 13
    code = check_shells(solids, crossing=~prism)
    code[(code == 0) & prism & _overlapping(solids)] = 306
    code[(code == 0) & _tilted(solids)] = 203
    return code


def _tilted(solids: Solids) -> NDArray[np.bool_]:
    z = solids.vertices[:, 2][solids.faces]
    flat = (solids.lod < 20)[solids.face_owner()]
    level = (solids.surface == Surface.GROUND) | (flat & (solids.surface == Surface.ROOF))
    return _any(solids, level & ~(np.ptp(z, axis=1) <= LEVEL))


def _overlapping(solids: Solids) -> NDArray[np.bool_]:
    """True where a cap has a triangle that looks the wrong way: with all edges paired, that is an overlap."""
    a, b, c = (solids.vertices[solids.faces[:, k]][:, :2] for k in range(3))
    up = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    wrong = (solids.surface == Surface.ROOF) & (up < -1e-8)
    return _any(solids, wrong | ((solids.surface == Surface.GROUND) & (up > 1e-8)))


def _any(solids: Solids, wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.bincount(solids.face_owner(), weights=wrong, minlength=len(solids)) > 0
