"""glTF: the container, typed metadata, and the content of a tile."""
