"""A published city in one file: packages of an area that are signed, archives of tilesets."""
