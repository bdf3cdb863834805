"""One file a figure; each prints one JSON object. Nothing here decides a test."""
