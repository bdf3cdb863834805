"""Monuments: from a footprint and its style to parts that stand on the relief."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models_l3.fabric import Boxes, ground_under, rectangles
from models_l3.hall import Part, fitted, hall
from models_l3.pack import Placed, placed
from models_l3.structures import archway, screen_wall
from models_l3.style import Style, by_name, style_for
from twin.errors import GeometryError, NotFoundError, OptionsError
from twin.features import Layer
from twin.grid import Raster
from twin.outcome import Outcome

Array = NDArray[np.float64]
STAGE = "l3"
AGREE = 0.2  # share by which a footprint may differ from the published plan
BAY = 4.4  # m, bay of a hall whose bays nobody published
STEP = 1.8  # m, plan step of a roof whose purlins nobody published
HALL_ROOFS = ("wudian", "xieshan", "xuanshan", "yingshan", "cuanjian", "juanpeng")
SPREAD = 5.0  # m, platforms and steps beyond the plan


@dataclass(frozen=True, slots=True)
class Site:
    """One footprint that becomes a monument: oid, name, heritage key, roof type, what is known of its heights, m."""

    oid: str
    name: str
    key: str
    roof: str
    eave: float
    height: float


def sites(layer: Layer) -> list[Site]:
    """Every building of a layer as a site, in its order."""
    texts = [layer.column(name).tolist() for name in ("name", "heritage", "roof_type")]
    numbers = [layer.column(name).tolist() for name in ("eave_height", "height_m")]
    return [Site(*row) for row in zip(layer.oid.tolist(), *texts, *numbers, strict=True)]


def build_monuments(layer: Layer, relief: Raster, styles: Mapping[str, Style]) -> tuple[list[Placed], list[Outcome]]:
    """Monuments of a layer on the relief, and an Outcome for each that could not follow its table."""
    made, outcomes = [], []
    boxes = rectangles(layer.geometry)
    wide = replace(boxes, long=boxes.long + 2 * SPREAD, short=boxes.short + 2 * SPREAD)
    low, high = ground_under(wide, relief)
    _, under = ground_under(boxes, relief)
    for k, site in enumerate(sites(layer)):
        if not np.isfinite(low[k]):
            outcomes.append(Outcome(site.oid, "skipped", "地面缺失 / no relief under the building", STAGE))
            continue
        try:
            found, note = _monument(site, _row(boxes, k), (float(low[k]), float(high[k]), float(under[k])), styles)
        except (NotFoundError, OptionsError, GeometryError) as error:
            outcomes.append(Outcome(site.oid, "skipped", f"无法建模 / {error}", STAGE))
            continue
        made.append(found)
        if note:
            outcomes.append(Outcome(site.oid, "fallback", note, STAGE))
    return made, outcomes


def _row(boxes: Boxes, k: int) -> Boxes:
    return Boxes(*(getattr(boxes, name)[k : k + 1] for name in Boxes.__slots__))


def _monument(
    site: Site, box: Boxes, ground: tuple[float, float, float], styles: Mapping[str, Style]
) -> tuple[Placed, str]:
    key = site.key or by_name("style_by_name", site.name) or "hall"
    style = style_for(key, styles)
    turn, frontage, depth = orientation(style, site.name, box)
    note = ""
    if style.size[0] > 0:
        size = style.size
        away = max(abs(frontage / size[0] - 1.0), abs(depth / size[1] - 1.0) if depth > 5.0 else 0.0)
        if away > AGREE:
            plan = f"footprint {frontage:.1f} x {depth:.1f} m, published {size[0]} x {size[1]} m is built"
            note = f"底面与文献尺寸不符 / {plan}"
    else:
        size = (frontage, depth)
    style = completed(style, site, size)
    low, high, under = ground
    level = (low + high) / 2 if style.form == "hall" else under
    floor = max(level + style.platform, under + 0.05) if style.form == "hall" else under
    parts = _parts(style, size, low - floor, styles)
    centre = np.array([float(box.x[0]), float(box.y[0]), floor])
    return placed(site.oid, site.name, style, parts, (centre, turn)), note


def _parts(style: Style, size: tuple[float, float], ground: float, styles: Mapping[str, Style]) -> list[Part]:
    if style.form == "screen_wall":
        return screen_wall(style, size, ground)
    if style.form == "pailou":
        return archway(style, size, ground)
    if not style.porch:
        return hall(fitted(style, size), size, ground)
    porch = styles[style.porch]
    main, front = (size[0], 0.62 * size[1]), (0.86 * size[0], 0.38 * size[1])
    body = [Part(p.kind, p.mesh.moved(y=(size[1] - main[1]) / 2), p.evidence) for p in hall(style, main, ground)]
    before = [
        Part(f"porch_{p.kind}", p.mesh.moved(y=-(size[1] - front[1]) / 2), p.evidence)
        for p in hall(porch, front, ground)
    ]
    return [*body, *before]


def orientation(style: Style, name: str, box: Boxes) -> tuple[float, float, float]:
    """Turn of the building (radians from a south front), frontage and depth of the footprint in that turn, m.

    The front follows the name or the table to the nearest axis of the footprint; without either it lies on a long
    side, to the south, or to the east where that side looks east and west.
    """
    angle, long, short = float(box.angle[0]), float(box.long[0]), float(box.short[0])
    facing = by_name("facing_by_name", name)
    declared = bool(style.size[0]) or style.sides != 4 or style.form != "hall"
    if facing is None and (declared or long < 1.1 * short or style.key == "guandi_hall"):
        facing = style.facing
    if facing is None:
        facing = 180.0 if abs(np.cos(angle)) > 0.7 else 90.0
    wanted = np.pi - np.radians(facing)
    turns = angle + np.arange(4) * np.pi / 2
    best = int(np.argmax(np.cos(turns - wanted)))
    turn = float(turns[best])
    return (turn, long, short) if best % 2 == 0 else (turn, short, long)


def completed(style: Style, site: Site, size: tuple[float, float]) -> Style:
    """The style with what the table leaves to the footprint: roof type, bays, purlins and eave."""
    roof = style.roof or (site.roof if site.roof in HALL_ROOFS else "xieshan")
    bays, rafters = style.bays, style.rafters
    if not bays[0]:
        bays = (_odd(size[0] / BAY), max(round(size[1] / BAY), 1))
    if not rafters:
        rafters = int(np.clip(2 * round(size[1] / 2 / STEP), 4, 10))
    eave = style.eave
    if not (style.column or eave):
        ridge = site.height if np.isfinite(site.height) else 0.75 * size[1]
        known = site.eave if np.isfinite(site.eave) else 0.56 * ridge
        eave = max(known - style.platform, 2.6)
    overhang = min(style.overhang, 0.4 * eave) if eave and style.overhang and not style.size[0] else style.overhang
    small = style.key == "hall" and (roof in ("yingshan", "xuanshan") or size[1] < 7.0)
    brackets = style.brackets and not small
    wall = "brick" if small and style.wall == "lattice" and size[0] > 35 else style.wall
    return replace(
        style, roof=roof, bays=bays, rafters=rafters, eave=eave, overhang=overhang, brackets=brackets, wall=wall
    )


def _odd(count: float) -> int:
    """The nearest odd number of bays, 1 to 11."""
    return int(np.clip(2 * round((count - 1) / 2) + 1, 1, 11))
