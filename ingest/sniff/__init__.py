"""A nose for wrong places, datums and units. It warns and never guesses: the declaration stays what counts."""

from ingest.sniff.extents import sniff_area, sniff_extents
from ingest.sniff.heights import sniff_surface, sniff_units
from ingest.sniff.nose import sniff
from ingest.sniff.outlines import WGS84, Fit, Placed, better_datum, distances, sniff_blind, sniff_datums

__all__ = [
    "WGS84",
    "Fit",
    "Placed",
    "better_datum",
    "distances",
    "sniff",
    "sniff_area",
    "sniff_blind",
    "sniff_datums",
    "sniff_extents",
    "sniff_surface",
    "sniff_units",
]
