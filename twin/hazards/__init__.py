"""Hazards: one file each, one line here each."""

from twin.hazards.base import Card, Field, Hazard, Registry, Scene, prepare
from twin.hazards.flood import RiverFlood
from twin.hazards.waterlogging import Waterlogging

HAZARDS = Registry(
    [
        RiverFlood(),
        Waterlogging(),
    ]
)

__all__ = ["HAZARDS", "Card", "Field", "Hazard", "Registry", "Scene", "prepare"]
