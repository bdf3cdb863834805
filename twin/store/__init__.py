"""What keeps a city: one protocol; a folder or PostGIS behind it."""

from twin.store.protocol import Changes, Item, LiveStore, RasterWriter, Store, Version
from twin.store.query import Condition, Where

__all__ = ["Changes", "Condition", "Item", "LiveStore", "RasterWriter", "Store", "Version", "Where"]
