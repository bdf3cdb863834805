"""The fast path: files that leave as bytes, before the framework."""
