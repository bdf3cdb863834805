"""Other people's tilesets: wherever they lie, their subtrees, and the older formats of contents."""
