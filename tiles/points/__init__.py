"""Point clouds of the store as a tileset: an octree whose tiles add up, every point in exactly one of them."""
