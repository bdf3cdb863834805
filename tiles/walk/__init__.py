"""The walk through a tileset, whoever made it: documents, tiles, subtrees, and what covers what."""
