"""Roof planes from measured points, and the footprint cut along them."""
