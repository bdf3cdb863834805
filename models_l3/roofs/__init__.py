"""Roofs: the closed shell, the types that shape it, what sits on the ridges."""
