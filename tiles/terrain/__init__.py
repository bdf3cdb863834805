"""The relief as terrain tiles: lattice, triangles, bytes, pyramid."""
