"""Tables of facts, styles and treatise numbers, read as package data."""
