"""What makes the ground fit to stand on: filtered points, flat water, level roads, triangles with breaklines."""
