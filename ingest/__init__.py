"""Foreign files become the city's nouns: the only room that knows a file format, a column name or a foreign CRS."""
