"""What L2 made of a city, as one page: counts, fit, and the buildings that deserve a second look."""
