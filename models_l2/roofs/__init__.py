"""Roofs by rule: straight skeletons, and the types that stand on them; one line here each."""

from models_l2.roofs.build import Roofed, build_roofs
from models_l2.roofs.card import Card, Drawn, Registry, RoofBatch, RoofType, TypeOptions
from models_l2.roofs.choice import Choice, RoofOptions, RoofRule, batch_of, choose
from models_l2.roofs.single import Flat, Pyramidal, Shed
from models_l2.roofs.sloped import FlatTopped, Gabled, Gambrel, HalfHipped, HipAndGable, Hipped, Mansard

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
        FlatTopped(),
    ]
)

__all__ = [
    "ROOFS", "Card", "Choice", "Drawn", "Registry", "RoofBatch", "RoofOptions", "RoofRule", "RoofType", "Roofed",
    "TypeOptions", "batch_of", "build_roofs", "choose",
]  # fmt: skip
