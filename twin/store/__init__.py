"""What keeps a city: one protocol; a folder or PostGIS behind it."""

from twin.store.protocol import Changes, Item, LiveStore, RasterWriter, Store, Version

__all__ = ["Changes", "Item", "LiveStore", "RasterWriter", "Store", "Version"]
