"""What can stop a run. One bad building is an Outcome, never an exception.

TwinError
  SourceError           a file cannot be read or lacks what its declaration promises
  FrameMismatchError    two things in different frames were combined
  GeometryError         a shape that no rule can repair
  StoreError            the store is missing, locked, or of another version
  NotFoundError         no such layer, oid, zone, run
  OptionsError          an option is unknown, out of range, or contradicts another
  MissingInputError     what a stage or card needs is absent; says which, and how to get it
"""


class TwinError(Exception):
    """Root of everything this project raises on purpose; the message is one line with a remedy."""


class SourceError(TwinError):
    """A source file cannot be read, or lacks what its declaration promises."""


class FrameMismatchError(TwinError):
    """Two things in different frames were combined."""


class GeometryError(TwinError):
    """A shape that no rule can repair."""


class StoreError(TwinError):
    """The store is missing, locked, or of another version."""


class NotFoundError(TwinError):
    """No such layer, raster, model, document or oid."""


class OptionsError(TwinError):
    """An option is unknown, out of range, or contradicts another."""


class MissingInputError(TwinError):
    """What a stage needs is absent; the message says what, and how to get it."""
