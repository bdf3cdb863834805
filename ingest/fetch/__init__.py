"""Open data for any place on Earth: `twin fetch`."""
