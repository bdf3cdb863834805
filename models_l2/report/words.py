"""Words and looks of the L2 page."""

from __future__ import annotations

EVIDENCE = {
    "surveyed": ("实测属性", "surveyed"),
    "model": ("已有模型", "delivered model"),
    "pointcloud": ("点云", "point cloud"),
    "dsm": ("表面模型", "DSM"),
    "storeys": ("层数", "storeys"),
    "neighbours": ("邻近同类", "neighbours"),
    "default": ("缺省", "default"),
    "attribute": ("屋顶属性", "roof attribute"),
    "": ("无实体", "no solid"),
}
SHAPES = {
    "planes": ("实测平面", "planes as measured"),
    "levels": ("实测台阶", "levels as measured"),
    "flat": ("平屋顶", "flat"),
}
GROUND = {
    "dem": ("高程模型", "DEM"),
    "points": ("点云地面点", "ground points"),
    "points, filtered": ("点云滤波所得地面点", "ground points by filter"),
    "declared": ("声明的水平地面", "level ground as declared"),
    "bases": ("建筑底部高程内插", "interpolated between bases of buildings"),
    "assumed": ("假定的水平地面", "level ground, assumed"),
}
NOTICES = {
    "assumed": (
        "没有地面数据：地面假定为水平，高程 0 m。建筑高度仍真实；高程、坡度与水文不可用。",
        "No data of the ground: level ground at 0 m is assumed. Heights above ground are true; elevations, slopes and "
        "water are not.",
    ),
    "bases": (
        "没有地面数据：地面由建筑交付的底部高程内插，建筑之间的地面可能不同。",
        "No data of the ground: it is interpolated between the bases that buildings were delivered with; open ground "
        "may lie otherwise.",
    ),
}
OUTCOMES = {
    "done": ("完成", "done"),
    "fallback": ("降级", "fallback"),
    "skipped": ("跳过", "skipped"),
    "failed": ("失败", "failed"),
}
FIGURES = {
    "ground_gap_max_m": ("基底与地面最大间隙", "largest gap between base and relief", "m"),
    "ground_gap_over_1mm": ("间隙大于 1 毫米", "gap over 1 mm", ""),
    "ground_gap_over_1cm": ("间隙大于 1 厘米", "gap over 1 cm", ""),
    "ground_gap_over_10cm": ("间隙大于 10 厘米", "gap over 10 cm", ""),
    "ground_step_over_1m": ("单栋地面高差大于 1 米", "ground rises over 1 m along the outline", ""),
    "ground_step_over_2m": ("单栋地面高差大于 2 米", "over 2 m", ""),
    "ground_step_over_5m": ("单栋地面高差大于 5 米", "over 5 m", ""),
    "ground_step_max_m": ("单栋最大地面高差", "largest rise of the ground along one outline", "m"),
    "ground_extrapolated": ("地面外推", "ground extrapolated", ""),
    "roofs_below_uphill_ground": ("上坡地面高于屋顶", "uphill ground above the roof", ""),
    "outlines_mended": ("轮廓已修复", "outlines mended", ""),
    "hulls": ("以凸包代替", "convex hulls", ""),
    "roofs_stepped_down": ("屋顶降级", "roofs one level lower", ""),
    "relief_unknown": ("地形未知格", "unknown cells of the relief", ""),
}
# Figure of the features -> words, figure of how much of it was modelled, its unit.
CLASSES = {
    "relief_cells": ("地形", "relief", "relief_triangles", "三角形 triangles"),
    "surfaces_road": ("道路", "roads", "surfaces_road_m2", "m²"),
    "surfaces_railway": ("铁路", "railways", "surfaces_railway_m2", "m²"),
    "surfaces_decks": ("桥面", "bridge decks", "", ""),
    "surfaces_water": ("水面", "water bodies", "surfaces_water_m2", "m²"),
    "surfaces_river": ("河流中线展宽", "rivers widened from lines", "surfaces_river_m2", "m²"),
    "surfaces_green": ("绿地", "plant cover", "surfaces_green_m2", "m²"),
    "surfaces_landuse": ("土地利用", "land use", "surfaces_landuse_m2", "m²"),
    "pipes": ("地下管线", "pipes", "pipes_solids", "实体 solids"),
    "trees": ("树木", "trees", "", ""),
    "furniture": ("城市部件", "street furniture", "", ""),
}
CLASS_NOTES = {
    "relief_water_level": ("整平的湖塘", "lakes and ponds made level"),
    "relief_water_falling": ("逐段下降的河流", "rivers made to fall all the way"),
    "relief_road_cells": ("路面去除的突起格", "cells of spikes taken off roads"),
    "relief_bridge_cells": ("去除的桥下假地面格", "cells of bridges taken out of the ground"),
    "pipes_without_depth": ("无埋深的管线", "pipes without a depth"),
    "pipes_without_diameter": ("无管径的管线", "pipes without a diameter"),
    "pipes_above_ground": ("高出地面的管线", "pipes that come above the ground"),
    "trees_surveyed": ("实测树木", "trees with a surveyed height"),
    "trees_canopy": ("由冠层栅格所得树木", "trees from the canopy raster"),
    "trees_points": ("由点云所得树木", "trees from points"),
    "trees_usual": ("按常见高度的树木", "trees of a usual height"),
    "trees_in_buildings": ("干位于建筑内的树木", "trees whose stem lies in a building"),
}
STYLE = """
:root{--ink:#2b2822;--soft:#645d51;--line:#ddd6c9;--paper:#fbf9f4;--green:#1f7a5c;--gold:#c8962e;--red:#a8321e}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:14px/1.55 "Noto Sans SC","Noto Sans CJK SC",
"Source Han Sans SC","PingFang SC","Microsoft YaHei",sans-serif;font-variant-numeric:tabular-nums}
header,main,footer{max-width:1280px;margin:0 auto;padding:0 32px}
header{padding-top:36px;padding-bottom:20px;border-bottom:2px solid var(--green)}
h1{font-size:30px;line-height:1.25;margin:0 0 14px;font-weight:600}
h2{font-size:19px;font-weight:600;margin:36px 0 12px}
.en{font-size:.82em;color:var(--soft);font-weight:400}
.over{margin:0;color:var(--green);font-weight:600}
.badge{display:inline-block;margin:0 0 12px;padding:2px 10px;border:1px dashed var(--gold);border-radius:4px}
.notice{margin:0 0 14px;padding:6px 12px;border-left:4px solid var(--red);background:#f6ebe4;max-width:900px}
dl,dd,dt,figure,p{margin:0;padding:0}
.cards{display:flex;flex-wrap:wrap;gap:8px 40px}
.cards dd{font-size:24px;line-height:1.3;font-weight:600}
.cards dt{color:var(--soft);font-size:13px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:0 48px;align-items:start}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--line);vertical-align:baseline}
th{font-weight:600}
thead th{font-size:13px;border-bottom:1px solid var(--soft)}
.n{text-align:right;white-space:nowrap}
.matrix th,.matrix td{white-space:nowrap}
.none{color:#a39987}
.ok{color:var(--green);font-weight:600}
.bars{display:block;width:100%;max-width:720px;height:auto}
.bars text{font-size:12px;text-anchor:middle;fill:#4a453c}
.worst{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,390px),1fr));gap:28px 32px}
.worst article{border-top:1px solid var(--soft);padding-top:8px;break-inside:avoid;min-width:0}
.worst h3{font-size:15px;margin:0;overflow-wrap:anywhere}
.worst h3 b{color:var(--soft);font-weight:400;margin-right:6px}
.chips{display:flex;flex-wrap:wrap;gap:4px 8px;margin:6px 0;font-size:12px}
.chips>span{border:1px solid var(--line);border-radius:10px;padding:0 8px;background:#fff}
.chips .bad{border-color:var(--red);color:var(--red)}
.why{font-size:12px;color:var(--soft);overflow-wrap:anywhere}
.pics{display:grid;grid-template-columns:1fr 1fr;gap:8px}
.pic{display:block;width:100%;height:auto;background:#f6f3ec;border:1px solid var(--line)}
.pic text{font-size:10px;fill:#4a453c}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:var(--soft);margin:0 0 14px}
.key i{display:inline-block;border-radius:50%;margin-right:5px;vertical-align:middle}
footer{border-top:1px solid var(--line);margin-top:32px;padding-top:12px;padding-bottom:40px;font-size:12px;
color:var(--soft)}
@media (max-width:700px){header,main,footer{padding-left:16px;padding-right:16px}body{font-size:16px}
h1{font-size:24px}.cards dd{font-size:20px}.two{grid-template-columns:minmax(0,1fr)}.bars text{font-size:18px}
.matrix{font-size:13px}.matrix .en{display:none}}
@media print{body{background:#fff;font-size:11px}header,main,footer{max-width:none;padding:0}}
"""
