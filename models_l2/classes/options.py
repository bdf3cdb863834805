"""Everything that can be set about the other classes, section [l2.classes] of city.toml."""

from __future__ import annotations

from dataclasses import dataclass

from twin.options import option


@dataclass(frozen=True, slots=True)
class ClassOptions:
    """How roads, railways, water, green and land use become surfaces."""

    surfaces: bool = option(True, doc="Roads, railways, water, green and land use become surfaces on the relief.")
    tolerance: float = option(
        0.2,
        unit="m",
        min=0.01,
        max=5.0,
        doc="How far a surface may lie off the relief; never finer than the relief's own cells.",
    )
    largest: float = option(
        64.0, unit="m", min=1.0, max=1000.0, doc="No triangle spans more ground than this, however flat it is."
    )
    lane_width: float = option(
        3.5, unit="m", min=2.0, max=5.0, doc="Width of a lane where a road tells its lanes and no width."
    )
    pipes: bool = option(True, doc="Lines of pipes become closed tubes at their depth.")
    pipe_step: float = option(
        10.0, unit="m", min=1.0, max=200.0, doc="Distance of the places where a pressure pipe asks for the ground."
    )
    trees: bool = option(True, doc="Trees are found in the canopy raster, else in points, beside delivered ones.")
    tree_height: float = option(3.0, unit="m", min=1.0, max=20.0, doc="Nothing lower is looked for as a tree.")
    tree_crown: float = option(4.0, unit="m2", min=0.0, max=100.0, doc="Least area of a crown; posts have less.")
    tree_cell: float = option(0.5, unit="m", min=0.2, max=5.0, doc="Cell size of canopy heights made from points.")
    furniture: bool = option(True, doc="City furniture gets a model, a heading and its place on the relief.")
