"""Nouns become bytes here: 3D Tiles, quantized-mesh terrain and image tiles, and the reader that checks them."""
