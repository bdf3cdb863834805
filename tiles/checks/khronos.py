"""The glTF validator of Khronos on contents, where Node.js and its package are there.

source  https://github.com/KhronosGroup/glTF-Validator, Apache-2.0; the npm package gltf-validator
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiles.checks.findings import Findings

_SCRIPT = Path(__file__).with_name("khronos.mjs")
_ERROR, _WARNING = 0, 1
_SECONDS = 600.0
_NAMED = 3


def command() -> tuple[str, ...]:
    """How the validator is run; empty where Node.js or its package gltf-validator is missing."""
    node = shutil.which("node") or shutil.which("node", path=str(Path(sys.prefix) / "node" / "bin"))
    if node is None:
        return ()
    try:
        tried = subprocess.run([node, str(_SCRIPT), "--there"], capture_output=True, timeout=30.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return (node, str(_SCRIPT)) if tried.returncode == 0 else ()


def validate(contents: Sequence[bytes], run: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Messages of the validator on each GLB: code, message, severity (0 error, 1 warning, 2 information), pointer."""
    sent = b"".join(struct.pack("<I", len(data)) + data for data in contents)
    try:
        done = subprocess.run(run, input=sent, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _failed(f"gltf-validator did not end: {type(error).__name__}", len(contents))
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode or len(lines) != len(contents):
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return _failed(f"gltf-validator stopped: {told[-1] if told else 'no words'}", len(contents))
    return [json.loads(line) for line in lines]


def _failed(words: str, n: int) -> list[list[dict[str, Any]]]:
    return [[{"code": "STOPPED", "message": words, "severity": _ERROR, "pointer": ""}] for _ in range(n)]


def note(messages: Sequence[dict[str, Any]], where: str, found: Findings) -> None:
    """Errors become faults, three of a file at most; warnings are remarks; what it says for information is counted."""
    found.count("gltf_validated")
    errors = [entry for entry in messages if entry["severity"] == _ERROR]
    for entry in errors[:_NAMED]:
        found.fault(where, f"gltf-validator: {entry['code']} {entry['pointer']}: {entry['message']}", "GLTF_INVALID")
    if len(errors) > _NAMED:
        found.fault(where, f"gltf-validator: {len(errors) - _NAMED} more errors", "GLTF_INVALID")
    for entry in messages:
        if entry["severity"] == _WARNING:
            found.remark(f"gltf-validator warns: {entry['code']}: {entry['message']}")
        elif entry["severity"] > _WARNING:
            found.count("gltf_validator_infos")
