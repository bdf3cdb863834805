"""What a check found: one line per fault, gathered into a Report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twin.outcome import Outcome, Report


@dataclass(slots=True)
class Findings:
    """Faults and remarks of one check, in the order they were met; `checked` counts the things that were opened."""

    stage: str
    checked: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def fault(self, where: str, reason: str) -> None:
        """Something is wrong in `where`."""
        self.faults.append((where, reason))

    def require(self, holds: object, where: str, reason: str) -> bool:
        """True where the claim holds; else the fault is kept."""
        if not holds:
            self.fault(where, reason)
        return bool(holds)

    def remark(self, text: str) -> None:
        """Something a reader should know that is no fault."""
        self.remarks.append(text)

    def count(self, key: str, n: int = 1) -> None:
        """Add to a figure."""
        self.figures[key] = self.figures.get(key, 0) + n

    def report(self) -> Report:
        """The report: one failed outcome per fault."""
        faulty = {where for where, _ in self.faults}
        return Report(
            self.stage,
            max(0, self.checked - len(faulty)),
            tuple(Outcome(where, "failed", reason, self.stage) for where, reason in self.faults),
            dict(sorted(self.figures.items())),
            tuple(self.remarks),
        )
