"""XML that a stranger wrote: no document type, so no entities."""

from __future__ import annotations

from typing import BinaryIO
from xml.parsers import expat

from twin.errors import SourceError

_PROLOG_STEP = 4096
_PROLOG_LIMIT = 2**20


def refuse_doctype(file: BinaryIO, shown: str, form: str) -> None:
    """Reads up to the first element and stops at a document type: entities cannot be declared anywhere else."""
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: found.append("doctype")
    parser.StartElementHandler = lambda *_: found.append("element")
    while not found:
        block = file.read(_PROLOG_STEP)
        if file.tell() > _PROLOG_LIMIT:
            raise SourceError(
                f"{shown}: XML without an element in its first {_PROLOG_LIMIT >> 10} KiB; ask for it again"
            )
        try:
            parser.Parse(block, not block)
        except expat.ExpatError as err:
            if not found:
                line = str(err)[:100]
                raise SourceError(f"{shown}: damaged or cut short XML ({line}); ask for the file again") from err
        except (LookupError, UnicodeError) as err:
            raise SourceError(f"{shown}: text encoding of the XML cannot be read ({str(err)[:100]})") from err
    if found[0] == "doctype":
        raise SourceError(f"{shown}: the XML declares a document type (entities); refused, {form} needs none")
