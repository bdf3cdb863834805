"""Roof types that stand on the straight skeleton: the same slope rises from every eave."""

from __future__ import annotations

import numpy as np

from models_l2.roofs.card import Card, Drawn, Floats, Rises, RoofBatch, TypeOptions, origins
from models_l2.roofs.skeleton import CODES
from models_l2.roofs.sketch import Sketch, cut, ends_of, gabled, half_hipped, hip_and_gable, sketch_of
from twin.features import Objects

NO_END = "没有可作山墙的端部 / no end that could be a gable"
SKELETON = "O. Aichholzer et al.: A novel type of skeleton for polygons (1995)"


class Hipped:
    """A slope from every eave."""

    card = Card("hipped", "四坡", "flat", f"straight skeleton; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """One face an edge."""
        sketch = sketch_of(batch.rings)
        return drawn(sketch, batch, batch.rises(sketch.reach(), options.slope, options))


class Gabled:
    """Ends as walls up to the ridge."""

    card = Card("gabled", "双坡", "hipped", f"straight skeleton with its triangular ends upright; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """The faces beside every hip end take its place."""
        sketch = sketch_of(batch.rings)
        ends = ends_of(sketch, batch.directions())
        without = _without(sketch, ends.edge)
        sketch = gabled(sketch, ends)
        return drawn(sketch, batch, batch.rises(sketch.reach(), options.slope, options), without)


class HalfHipped:
    """Ends as walls half way up, hips above."""

    card = Card("half_hipped", "半四坡", "gabled", f"straight skeleton, ends scaled towards the wall; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """A smaller hip stands on the wall of every end."""
        sketch = sketch_of(batch.rings)
        ends = ends_of(sketch, batch.directions())
        without = _without(sketch, ends.edge)
        sketch = half_hipped(sketch, ends, options.half_hip)
        return drawn(sketch, batch, batch.rises(sketch.reach(), options.slope, options), without)


class HipAndGable:
    """Hips half way up, walls above."""

    card = Card("hip_and_gable", "歇山", "hipped", f"straight skeleton, ends cut and upright above; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """A gable stands inside every end."""
        sketch = sketch_of(batch.rings)
        ends = ends_of(sketch, batch.directions())
        without = _without(sketch, ends.edge)
        sketch = hip_and_gable(sketch, ends, options.gable_foot)
        return drawn(sketch, batch, batch.rises(sketch.reach(), options.slope, options), without)


class Mansard:
    """A steep slope from every eave, a gentle one above."""

    card = Card("mansard", "折面坡", "hipped", f"straight skeleton cut at one height; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """Every face cut at a share of the way in, and steeper below than above."""
        return _broken(sketch_of(batch.rings), batch, options)


class FlatTopped:
    """A slope from every eave up to a level top."""

    card = Card("flat_topped", "盝顶", "hipped", f"straight skeleton cut at one height; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """Every face cut at a share of the way in, level above."""
        sketch = sketch_of(batch.rings)
        reach = sketch.reach()
        level = options.top_run * reach
        rises = batch.rises(level, options.slope, options)
        return drawn(cut(sketch, level), batch, rises, None, (1.0 / options.top_run, 0.0, level))


class Gambrel:
    """A gabled roof whose slopes break."""

    card = Card("gambrel", "折线双坡", "gabled", f"gabled roof cut at one height; {SKELETON}")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """Gabled first, then cut."""
        sketch = sketch_of(batch.rings)
        ends = ends_of(sketch, batch.directions())
        return _broken(gabled(sketch, ends), batch, options, _without(sketch, ends.edge))


def _broken(sketch: Sketch, batch: RoofBatch, options: TypeOptions, refused: Objects | None = None) -> Drawn:
    reach = sketch.reach()
    low, high = options.break_rise / options.break_run, (1.0 - options.break_rise) / (1.0 - options.break_run)
    rises = batch.rises(reach, options.mansard_slope, options, low)
    level = options.break_run * reach
    return drawn(cut(sketch, level), batch, rises, refused, (low, high, level))


def _without(sketch: Sketch, edge: np.ndarray) -> Objects:
    """(n,) str: NO_END for buildings to which none of the edges belongs."""
    refused = np.full(sketch.rings.n, NO_END, dtype=object)
    refused[sketch.rings.owner[sketch.rings.vertex_ring()[edge]]] = ""
    return refused


def drawn(
    sketch: Sketch,
    batch: RoofBatch,
    rises: Rises,
    refused: Objects | None = None,
    broken: tuple[float, float, Floats] | None = None,
) -> Drawn:
    """A sketch under its planes.

    refused   (n,) str, further reasons against it
    broken    slope below and above the break as multiples of the mean one, and the run (n,) m at the break
    """
    rings, edge, owner = sketch.rings, sketch.edge, sketch.owner()
    step = rings.xy[rings.following()[edge]] - rings.xy[edge]
    inward = np.column_stack([-step[:, 1], step[:, 0]]) / np.hypot(step[:, 0], step[:, 1])[:, None]
    origin = origins(rings)
    reach = sketch.reach()
    mean = np.divide(rises.rise, reach, out=np.zeros(rings.n), where=reach > 0.0)[owner]
    factor, offset = np.ones(len(edge)), np.zeros(len(edge))
    if broken is not None:
        low, high, level = broken
        factor = np.where(sketch.upper, high, low)
        offset = np.where(sketch.upper, (low - high) * level[owner], 0.0)
    slope = mean * factor
    run = ((origin[owner] - rings.xy[edge]) * inward).sum(axis=1) + sketch.lift
    plane = np.column_stack([slope[:, None] * inward, rises.eave[owner] + slope * run + mean * offset])
    reasons = [np.array([CODES[c] for c in sketch.code.tolist()], dtype=object), rises.refused]
    reason = np.full(rings.n, "", dtype=object)
    for more in [*reasons, *([] if refused is None else [refused])]:
        reason = np.where(reason == "", more, reason)
    faces = np.arange(len(edge))
    return Drawn(sketch.xy, sketch.corner, sketch.ring, faces, owner, plane, origin, reason)
