"""The Datong sample: a synthetic city from published facts, written as source files."""

from ingest.sample.make import make_sample

__all__ = ["make_sample"]
