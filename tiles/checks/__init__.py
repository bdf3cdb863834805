"""What can be wrong with published tiles, and how it is found."""
