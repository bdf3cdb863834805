"""The whole city, modestly: every footprint a closed block on the ground, whose height says how it is known."""
