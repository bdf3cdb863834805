"""The L2 model of a city as one page: self-contained, Chinese first with English beside it; it opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from models_l2.report.drawing import RESIDUALS, histogram, plan_view, solid_view
from models_l2.report.facts import Facts, Worst, facts_of
from models_l2.report.words import (
    CLASS_NOTES,
    CLASSES,
    EVIDENCE,
    FIGURES,
    GROUND,
    NOTICES,
    OUTCOMES,
    SHAPES,
    STYLE,
)
from models_l2.validity import CODES
from twin.city import City

REASONS = 24


def l2_page(city: City) -> str:
    """HTML of what L2 made of a city; NotFoundError where it is not built."""
    facts = facts_of(city)
    badge = f'<p class="badge">{both(city.badge, city.badge_en)}</p>' if city.badge else ""
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(city.name)} L2 模型报告 · L2 report</title><style>{STYLE}</style></head><body>"
        f"<header><p class='over'>{both('L2 模型报告', 'L2 report')}</p><h1>{both(city.name, city.name_en)}</h1>"
        f"{badge}{_notice(facts)}{_cards(facts)}</header><main>{_levels(facts)}{_fit(facts)}{_soundness(facts)}"
        f"{_classes(facts)}{_reasons(facts)}{_worst(facts)}</main><footer>{_notes()}</footer></body></html>\n"
    )


def both(zh: str, en: str) -> str:
    """A word in both languages: Chinese first, English smaller after it; once where they are the same."""
    return escape(zh) if not en or en == zh else f'{escape(zh)} <span class="en" lang="en">{escape(en)}</span>'


def _said(text: str) -> str:
    """A text of the form "Chinese / English" in both languages."""
    zh, _, en = text.partition(" / ")
    return both(zh, en)


def _known(word: str) -> str:
    return both(*EVIDENCE.get(word, (word, "")))


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table whose first column names the row and whose other columns are figures; cells are HTML."""
    top = "".join(f'<th scope="col" class="{"n" if k else ""}">{both(*words)}</th>' for k, words in enumerate(heads))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f'<td class="n">{cell}</td>' for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _section(zh: str, en: str, body: str) -> str:
    return f"<section><h2>{both(zh, en)}</h2>{body}</section>"


def _count(value: int) -> str:
    return f"{value:,}" if value else '<span class="none">–</span>'


def _notice(facts: Facts) -> str:
    """What a reader must know of the ground before any figure."""
    told = NOTICES.get(facts.figures["relief_source"])
    return f'<p class="notice" role="note">{both(*told)}</p>' if told else ""


def _cards(facts: Facts) -> str:
    solids, valid = facts.figures["solids"], facts.buildings - sum(facts.invalid.values())
    cards = [
        (f"{facts.buildings:,}", "栋建筑", "buildings"),
        (f"{solids:,}", "个封闭实体", "closed solids"),
        (_percent(valid, facts.buildings), "有效", "valid"),
        (f"{facts.figures['height_median_m']:.1f} m", "中位高度", "median height"),
        (f"±{facts.figures['height_sigma_median_m']:.2g} m", "中位不确定度", "median uncertainty"),
    ]
    if len(facts.fit):
        cards.append((f"{np.median(facts.fit):.2f} m", "屋面点拟合中误差", "median RMSE of roof points"))
    return (
        '<dl class="cards">' + "".join(f"<div><dd>{v}</dd><dt>{both(z, e)}</dt></div>" for v, z, e in cards) + "</dl>"
    )


def _percent(part: int, whole: int) -> str:
    # Nearly all is not all.
    share = 100.0 * part / whole if whole else 0.0
    return f"{min(share, 99.9) if part < whole else share:.4g} %"


def _levels(facts: Facts) -> str:
    levels = sorted({level for _, level in facts.lods if level})
    kinds = [kind for kind in EVIDENCE if any(k == kind for k, _ in facts.lods)]
    rows = []
    for kind in kinds:
        count, median, high = facts.sigma.get(kind, (0, 0.0, 0.0))
        known = [f"±{median:.2f}", f"±{high:.2f}"] if count else [_count(0)] * 2
        each = [_count(facts.lods[kind, level]) for level in levels]
        rows.append([_known(kind), *each, _count(sum(n for (k, _), n in facts.lods.items() if k == kind)), *known])
    heads = [("高度依据", "height evidence"), *((f"LoD{level}", "") for level in levels), ("合计", "all"),
             ("σ 中位 m", "median"), ("σ 95% m", "95th")]  # fmt: skip
    shapes = [
        [both(*SHAPES.get(shape, (shape, ""))), _known(how), _count(n)] for (shape, how), n in facts.roofs.most_common()
    ]
    roofs = _table([("屋顶形状", "roof shape"), ("依据", "evidence"), ("数量", "count")], shapes) if shapes else ""
    return _section(
        "细节层次与依据",
        "Levels of detail and evidence",
        f'<div class="two">{_table(heads, rows, "matrix")}{roofs}</div>',
    )


def _fit(facts: Facts) -> str:
    if not len(facts.fit):
        words = both("没有点云或表面模型可比", "no points and no surface model to compare with")
        return _section("与实测屋面之差", "Distance to the measured roof", f"<p>{words}</p>")
    p50, p95 = np.percentile(facts.fit, [50, 95])
    told = both(
        f"{len(facts.fit):,} 栋有实测屋面：中位 {p50:.2f} m，95% 分位 {p95:.2f} m，最大 {facts.fit.max():.2f} m",
        f"{len(facts.fit):,} buildings measured: median {p50:.2f} m, 95th percentile {p95:.2f} m",
    )
    title = "各级中误差的建筑数 buildings by RMSE, m"
    return _section("与实测屋面之差（中误差 m）", "Distance of the measured roof to the model (RMSE, m)",
                    f"<p>{told}</p>{histogram(facts.fit, title)}")  # fmt: skip


def _soundness(facts: Facts) -> str:
    valid = facts.buildings - sum(facts.invalid.values())
    rows = [[f'<span class="ok">{both("0 有效或已言明", "valid, or said to have no footprint")}</span>', _count(valid)]]
    rows += [[_said(CODES[code]), _count(count)] for code, count in facts.invalid.items()]
    table = _table([("val3dity 代码", "code"), ("数量", "count")], rows)
    ground = [
        [both(zh, en), f"{facts.figures[key]:g} {unit}"]
        for key, (zh, en, unit) in FIGURES.items()
        if key in facts.figures
    ]
    source = facts.figures["relief_source"]
    ground.insert(0, [both("地面来源", "ground from"), both(*GROUND.get(source, (source, "")))])
    apart = facts.figures["height_conflicts"]
    names = f'<div class="why">{escape("、".join(facts.conflicts))}{" …" if apart > len(facts.conflicts) else ""}</div>'
    ground.append([both("高度依据互相矛盾", "height evidence in conflict") + (names if apart else ""), _count(apart)])
    return _section("有效性、地面与矛盾", "Validity, ground and conflicts",
                    f'<div class="two">{table}{_table([("项", "what"), ("值", "value")], ground)}</div>')  # fmt: skip


def _classes(facts: Facts) -> str:
    """What is no building: how many features of each class were modelled, how much of it, and what deserves a look."""
    rows = []
    for key, (zh, en, measure, unit) in CLASSES.items():
        if key in facts.figures:
            size = f"{facts.figures[measure]:,.0f} {unit}" if facts.figures.get(measure) else _count(0)
            rows.append([both(zh, en), _count(facts.figures[key]), size])
    notes = [
        [both(zh, en), _count(facts.figures[key])] for key, (zh, en) in CLASS_NOTES.items() if key in facts.figures
    ]
    lost = [[_said(why), both(*OUTCOMES.get(status, (status, ""))), _count(n)] for (status, why), n in facts.lost]
    head = [("原因", "reason"), ("结果", "outcome"), ("数量", "count")]
    why = _table(head, lost[:REASONS]) if lost else ""
    tables = _table([("类别", "class"), ("要素", "features"), ("模型", "modelled")], rows)
    beside = _table([("项", "what"), ("值", "value")], notes)
    return _section("地形与其他类别", "Relief and the other classes", f'<div class="two">{tables}{beside}</div>{why}')


def _reasons(facts: Facts) -> str:
    if not facts.reasons:
        return ""
    rows = [[_said(why), both(*OUTCOMES.get(status, (status, ""))), _count(n)] for (status, why), n in facts.reasons]
    more = len(rows) - REASONS
    tail = f"<p class='why'>{both(f'另有 {more} 种原因', f'{more} more reasons')}</p>" if more > 0 else ""
    table = _table([("原因", "reason"), ("结果", "outcome"), ("数量", "count")], rows[:REASONS])
    return _section("降级与失败的原因", "Why buildings stepped down", table + tail)


def _worst(facts: Facts) -> str:
    if not facts.worst:
        return ""
    least, keys = 0.0, []
    for end, ink, radius in RESIDUALS:
        words = f"{least:g}–{end:g} m" if np.isfinite(end) else f"&gt; {least:g} m"
        keys.append(
            f'<span><i style="width:{4 * radius:g}px;height:{4 * radius:g}px;background:{ink}"></i>{words}</span>'
        )
        least = end
    key = f'<p class="key"><span>{both("点到模型的距离", "distance of points to the model")}</span>{"".join(keys)}</p>'
    cards = "".join(_card(k + 1, worst) for k, worst in enumerate(facts.worst))
    return _section("最应复核的建筑", "Buildings that deserve a second look", f'{key}<div class="worst">{cards}</div>')


def _card(place: int, worst: Worst) -> str:
    told = worst.told
    name, oid = str(told.get("name") or ""), escape(str(told["oid"]))
    chips = [f"<span>LoD{told['lod']:g}</span>"] if np.isfinite(told["lod"]) else []
    chips.append(f"<span>{_known(str(told['height_evidence']))}</span>")
    if np.isfinite(told["height_m"]):
        chips.append(f"<span>{told['height_m']:.1f} m ±{told['height_sigma']:.1f}</span>")
    if np.isfinite(told["fit_rmse"]):
        kind = "bad" if told["fit_rmse"] > 0.8 else ""
        chips.append(f'<span class="{kind}">RMSE {told["fit_rmse"]:.2f} m</span>')
    chips.append(f"<span>{both(*OUTCOMES.get(str(told['outcome']), (str(told['outcome']), '')))}</span>")
    why = "；".join(_said(part) for part in str(told["reason"]).split("; ") if part)
    above = plan_view(worst, f"{oid} 平面 plan")
    beside = solid_view(worst.solid, f"{oid} 轴测 isometric")
    return (
        f"<article><h3><b>{place}</b>{oid} {escape(name)}</h3><div class='chips'>{''.join(chips)}</div>"
        f'<div class="pics">{above}{beside}</div><p class="why">{why}</p></article>'
    )


def _notes() -> str:
    zh = (
        "拟合中误差为屋面点（或表面模型格点）到实体表面距离的均方根，每栋至多取 200 点。"
        "高度自地面至屋顶上部；σ 为一倍中误差。"
        "平面图上北，屋面颜色浅低深高；轴测图自西南俯视。复核次序：无有效实体者，其次拟合差者，再次高度不确定者。"
    )
    en = (
        "RMSE: root mean square distance of roof points (or cells of the surface model) to the solid, at most 200 a "
        "building. Heights reach from the ground to the upper roof; sigma is one standard deviation. Plans: north up, "
        "pale roofs are low; isometric views look from the south-west. Order: no valid solid first, then the poorest "
        "fit, then the least certain height."
    )
    return f'<p>{escape(zh)}</p><p lang="en">{escape(en)}</p>'
