"""What belongs together: addresses and buildings, one building in two sources, people and divisions."""
