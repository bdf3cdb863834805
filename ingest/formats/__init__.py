"""Single file formats that need more than one call of their library."""
