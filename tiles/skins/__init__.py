"""Pictures on faces: which part of each a tile needs, how fine, and all of them in one atlas."""
