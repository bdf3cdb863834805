"""Roofs by rule: straight skeletons, and the types that stand on them; one line here each."""

from models_l2.roofs.build import Roofed, build_roofs
from models_l2.roofs.card import Card, Drawn, Registry, RoofBatch, RoofType, TypeOptions
from models_l2.roofs.single import Flat, Pyramidal, Shed
from models_l2.roofs.sloped import Gabled, Gambrel, HalfHipped, HipAndGable, Hipped, Mansard

ROOFS = Registry(
    [
        Flat(),
        Shed(),
        Gabled(),
        Hipped(),
        HalfHipped(),
        HipAndGable(),
        Pyramidal(),
        Mansard(),
        Gambrel(),
    ]
)

__all__ = [
    "ROOFS", "Card", "Drawn", "Registry", "RoofBatch", "RoofType", "Roofed", "TypeOptions", "build_roofs",
]  # fmt: skip
