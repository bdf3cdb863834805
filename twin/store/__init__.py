"""What keeps a city: one protocol; a folder or PostGIS behind it."""

from twin.store.protocol import Item, LiveStore, RasterWriter, Store

__all__ = ["Item", "LiveStore", "RasterWriter", "Store"]
