"""Questions about the city answered from nouns alone: pure functions over rasters, layers and solids."""
