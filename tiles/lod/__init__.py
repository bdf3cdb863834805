"""Coarse levels of buildings: outlines of solids, simpler blocks, blocks of neighbours, and how far each is off."""
