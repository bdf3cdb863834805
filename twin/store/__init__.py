"""What keeps a city: one protocol, the embedded folder store behind it."""

from twin.store.protocol import Item, LiveStore, RasterWriter, Store

__all__ = ["Item", "LiveStore", "RasterWriter", "Store"]
