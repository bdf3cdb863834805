"""Datong as the sample imagines it: facts as tables, and the plan of a city drawn from them."""
