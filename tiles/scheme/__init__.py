"""Where tiles lie: squares, trees of tiles, and the documents that tell of them."""
