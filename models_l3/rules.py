"""The rules of the treatises as functions: modules, section, corner, eaves, tiles, walls.

Lengths carry the unit of the argument (chi, cun or metres alike) unless the sentence names one. Where a treatise
can be read in two ways the reading is an argument without default: a silent choice would be an invented fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_l3.facts import table
from twin.errors import GeometryError, OptionsError

Array = NDArray[np.float64]

QING_EAVE_BEYOND_PURLIN = 21.0  # doukou: 14 rafter + 7 flying rafter
QING_OUT_STEP = 3.0  # doukou per out-step


@dataclass(frozen=True, slots=True)
class Section:
    """The purlin line of one half of a roof.

    y   (n+1,) f8   distance from the ridge plane, 0 at the ridge, half the span at the eave purlin
    z   (n+1,) f8   height above the eave purlin, same unit
    """

    y: Array
    z: Array

    def slopes(self) -> Array:
        """Slope of each step from eave to ridge, (n,) f8."""
        return (np.diff(self.z) / np.diff(self.y) * -1.0)[::-1]

    @property
    def rise(self) -> float:
        """Height of the ridge purlin above the eave purlin."""
        return float(self.z[0])

    @property
    def half_span(self) -> float:
        """Distance from the ridge plane to the eave purlin."""
        return float(self.y[-1])


def raise_ratio(kind: str, reading: str | None = None) -> float:
    """Rise of the ridge over the span by the text of 1103.

    kind      hall | ting_tang_tube | gallery_tube | ting_tang_plate | gallery_plate
    reading   multiplicative (0.25 x 1.08) or additive (0.25 + 0.08); needed for all kinds but hall
    raises    OptionsError when the text is ambiguous and no reading is given
    source    Yingzao Fashi, juan 5; both readings are published
    """
    if kind == "hall":
        return 1.0 / 3.0
    extra = {"ting_tang_tube": 0.08, "gallery_tube": 0.05, "ting_tang_plate": 0.05, "gallery_plate": 0.03}
    if kind not in extra:
        raise OptionsError(f"roof kind {kind!r}: unknown; choose hall or one of {', '.join(sorted(extra))}")
    if reading == "multiplicative":
        return 0.25 * (1.0 + extra[kind])
    if reading == "additive":
        return 0.25 + extra[kind]
    raise OptionsError(
        f"roof kind {kind!r}: the text has two readings; choose reading = 'multiplicative' or 'additive'"
    )


def era_ratio(era: str) -> float:
    """Rise over span measured on standing buildings of an era; evidence `inferred`, +-0.03.

    raises    OptionsError for an era that has no measured ratio (Ming and Qing roofs follow `jujia`)
    """
    ratios = {row["era"]: row["rise_over_span"] for row in table("eras")}
    if not ratios.get(era):
        known = ", ".join(sorted(name for name, value in ratios.items() if value))
        raise OptionsError(f"era {era!r}: no measured rise over span; choose one of {known} or give coefficients")
    return float(ratios[era])


def juzhe(steps: Sequence[float], rise: float) -> Section:
    """Section of a Song roof: raise the ridge, then fold each purlin under the string to the eave.

    steps    plan steps of one half from ridge to eave; rise = height of ridge purlin over eave purlin
    raises   GeometryError when the roof would not be concave
    source   Yingzao Fashi, juan 5: first drop a tenth of the rise, each next drop half of the last
    """
    a = np.asarray(steps, dtype=np.float64)
    half = float(a.sum())
    z = [float(rise)]
    x, drop = 0.0, rise / 10.0
    for step in a[:-1]:
        string = z[-1] * (1.0 - step / (half - x))
        z.append(string - drop)
        x += float(step)
        drop /= 2.0
    z.append(0.0)
    section = Section(np.concatenate([[0.0], np.cumsum(a)]), np.array(z))
    return _checked(section, "juzhe")


def jujia(steps: Sequence[float], coefficients: Sequence[float]) -> Section:
    """Section of a Qing roof: each step rises by its coefficient, from the eave upwards.

    steps, coefficients   (n,) from eave to ridge
    raises                GeometryError when the lengths differ or the roof would not be concave
    source                Gongcheng zuofa, 1734
    """
    b, c = np.asarray(steps, dtype=np.float64), np.asarray(coefficients, dtype=np.float64)
    if b.shape != c.shape:
        raise GeometryError(f"jujia: {len(b)} steps but {len(c)} coefficients; give one coefficient per step")
    z = np.concatenate([[0.0], np.cumsum(b * c)])[::-1]
    y = np.concatenate([[0.0], np.cumsum(b[::-1])])
    return _checked(Section(y, np.ascontiguousarray(z)), "jujia")


def jujia_coefficients(steps: int, reading: str | None = None) -> tuple[float, ...]:
    """Coefficients of the Qing section from eave to ridge.

    reading   needed for 4 steps: treatise (.5 .65 .75 .9) or drawings (.5 .7 .8 .9)
    raises    OptionsError when steps is not 1..5 or an ambiguous case has no reading
    """
    single: dict[int, tuple[float, ...]] = {
        1: (0.5,),
        2: (0.5, 0.7),
        3: (0.5, 0.7, 0.9),
        5: (0.5, 0.6, 0.65, 0.75, 0.9),
    }
    both = {"treatise": (0.5, 0.65, 0.75, 0.9), "drawings": (0.5, 0.7, 0.8, 0.9)}
    if steps in single:
        return single[steps]
    if steps == 4 and reading in both:
        return both[reading]
    if steps == 4:
        raise OptionsError("jujia with 4 steps has two readings; choose reading = 'treatise' or 'drawings'")
    raise OptionsError(f"jujia with {steps} steps: no coefficients are handed down; give them in the style table")


def _checked(section: Section, rule: str) -> Section:
    if bool((np.diff(section.slopes()) <= 0.0).any()):
        raise GeometryError(f"{rule}: slopes {np.round(section.slopes(), 3).tolist()} do not grow towards the ridge")
    return section


def corner_rise(bays: int) -> float:
    """Rise of the corner column over the centre columns, cun (角柱生起: one cun per bay beyond the first)."""
    return float(max(bays - 1, 0))


def rise_along(fraction: Array, total: float) -> Array:
    """Rise of the eave at a fraction 0 (centre) .. 1 (corner) of half the frontage; "gradual and round"."""
    return total * np.asarray(fraction, dtype=np.float64) ** 2


def song_eave(rafter: float) -> float:
    """Overhang beyond the eave purlin with flying rafter, cun, for a rafter of 3 to 5 cun.

    raises   OptionsError outside the range of the text
    """
    if not 3.0 <= rafter <= 5.0:
        raise OptionsError(f"rafter of {rafter} cun: the text covers 3 to 5 cun")
    return float(1.6 * np.interp(rafter, [3.0, 5.0], [35.0, 42.5]))


def qing_eave(doukou: float, cai: int) -> tuple[float, float]:
    """Overhang from the eave purlin and from the column line, unit of doukou, for a 5-, 7- or 9-cai bracket set."""
    if cai not in (3, 5, 7, 9):
        raise OptionsError(f"{cai}-cai bracket set: choose 3, 5, 7 or 9")
    out_steps = (cai - 1) // 2
    beyond = QING_EAVE_BEYOND_PURLIN * doukou
    return beyond, beyond + QING_OUT_STEP * out_steps * doukou


def doukou(grade: int) -> float:
    """Width of the bracket mouth of a Qing grade 1..11, cun."""
    if not 1 <= grade <= 11:
        raise OptionsError(f"doukou grade {grade}: choose 1 to 11")
    return 6.5 - 0.5 * grade


def cai_fen(grade: int) -> float:
    """Module fen of a Song grade 1..8, cun; fifteen of them are the height of the cai, ten its thickness."""
    for row in table("cai_grades"):
        if row["grade"] == grade:
            return float(row["height_cun"]) / 15.0
    raise OptionsError(f"cai grade {grade}: choose 1 to 8")


def tuishan(steps: Sequence[float], factor: float = 0.9) -> Array:
    """Extra half length of the ridge gained at each purlin from eave to ridge, (n+1,) f8, unit of the steps.

    The plan step towards the gable shrinks by `factor` from the second step on (推山).
    """
    a = np.asarray(steps, dtype=np.float64)
    gain = a * (1.0 - factor ** np.arange(len(a)))
    return np.concatenate([[0.0], np.cumsum(gain)])


def gable_projection(rafters: int) -> float:
    """Projection of the purlins beyond the gable columns, chi (出际), by the number of rafters."""
    return float(np.interp(rafters, [2, 4, 6, 8], [2.25, 3.25, 3.75, 4.75]))


def tile_rows(width: float, grade: int) -> tuple[float, float]:
    """Rows of tiles on a width in chi, and the row pitch in metres at 0.32 m per chi, for a clay tile grade."""
    for row in table("tiles"):
        if row["grade"] == grade:
            per_zhang = float(row["rows_per_zhang"])
            return width / 10.0 * per_zhang, 3.2 / per_zhang
    raise OptionsError(f"tile grade {grade}: not in the table")


def song_wall(height: float) -> tuple[float, float]:
    """Base and top width of a rammed wall of a height in chi by the text of 1103; not for walls with a survey."""
    base = height + 20.0
    return base, base - height / 2.0
