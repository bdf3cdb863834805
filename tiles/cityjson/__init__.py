"""The city as CityJSON 2.0 and CityJSONSeq (CityJSON 2.0.1, OGC 20-072r5) for programs of others."""
