"""Town walls: the line and its curtain, gates and bastions, the whole by its fact table."""
