"""What became of every item, and the tally of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Status = Literal["done", "fallback", "skipped", "failed"]
_STATUSES: tuple[Status, ...] = get_args(Status)

LISTED = 20
"""Reasons of a report that its text lists."""

NAMED = 4
"""Items of each reason that are named."""


def cause_of(reason: str) -> str:
    """A reason of the form "Chinese / English: figures" without its figures, so that the same cause counts as one.

    Several reasons in one, joined by "; ", lose theirs each.
    """
    parts = (part.partition(" / ") for part in reason.split("; "))
    return "; ".join(f"{zh}{slash}{en.partition(': ')[0]}" for zh, slash, en in parts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item, with the reason in words that a mapper can act on."""

    oid: str
    status: Status
    reason: str
    stage: str = ""

    def __post_init__(self) -> None:
        if self.status not in _STATUSES:
            raise ValueError(f"outcome of {self.oid}: status {self.status!r} is none of {_STATUSES}")


@dataclass(frozen=True, slots=True)
class Report:
    """The tally of one stage: how many went well, and every item that did not, by name.

    done        items that went the straight way
    outcomes    every other item, sorted by oid
    figures     measured numbers and words about the run; never seconds or clocks, so that a rerun gives the same
    warnings    one line each, for the person who delivered the data
    """

    stage: str
    done: int = 0
    outcomes: tuple[Outcome, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def count(self, status: Status) -> int:
        """Number of items that ended as `status`."""
        listed = sum(1 for outcome in self.outcomes if outcome.status == status)
        return listed + (self.done if status == "done" else 0)

    @property
    def failed(self) -> bool:
        """True where at least one item failed."""
        return any(outcome.status == "failed" for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, in a stable order."""
        return {
            "stage": self.stage,
            "counts": {status: self.count(status) for status in _STATUSES},
            "figures": dict(self.figures),
            "warnings": list(self.warnings),
            "outcomes": [
                {"oid": o.oid, "status": o.status, "reason": o.reason, "stage": o.stage or self.stage}
                for o in sorted(self.outcomes, key=lambda o: (o.oid, o.status, o.reason))
            ],
        }


def merge_reports(stage: str, reports: Iterable[Report]) -> Report:
    """One report of several; figures keep the part's stage as a prefix."""
    parts = list(reports)
    figures: dict[str, Any] = {}
    for part in parts:
        figures.update({f"{part.stage}.{key}": value for key, value in part.figures.items()})
    return Report(
        stage=stage,
        done=sum(part.done for part in parts),
        outcomes=tuple(outcome for part in parts for outcome in part.outcomes),
        figures=figures,
        warnings=tuple(line for part in parts for line in part.warnings),
    )


def report_as_text(report: Report) -> str:
    """The report for a person: the tally, the warnings, and the items of each reason, a few by name."""
    words = ", ".join(f"{report.count(s)} {s}" for s in _STATUSES if report.count(s))
    lines = [f"{report.stage}: {words or 'nothing to do'}", *(f"  ! {line}" for line in report.warnings)]
    groups: dict[tuple[str, str], list[str]] = {}
    for outcome in sorted(report.outcomes, key=lambda o: (-_STATUSES.index(o.status), o.reason, o.oid)):
        groups.setdefault((outcome.status, cause_of(outcome.reason)), []).append(outcome.oid)
    for (status, reason), oids in list(groups.items())[:LISTED]:
        more = f" ... {len(oids)} in all" if len(oids) > NAMED else ""
        lines.append(f"  {status}: {reason}: {', '.join(oids[:NAMED])}{more}")
    if len(groups) > LISTED:
        lines.append(f"  ... {len(groups) - LISTED} more reasons; --json prints every item")
    return "\n".join(lines)
