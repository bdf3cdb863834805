"""Words and looks of the quality page."""

from __future__ import annotations

KINDS = {
    "dem": ("数字高程模型", "terrain"),
    "dsm": ("数字表面模型", "surface"),
    "canopy": ("树冠高", "canopy"),
    "imagery": ("正射影像", "imagery"),
    "footprints": ("建筑轮廓", "footprints"),
    "roads": ("道路", "roads"),
    "railways": ("铁路", "railways"),
    "rivers": ("河流", "rivers"),
    "water": ("水面", "water"),
    "green": ("绿地", "green"),
    "landuse": ("土地利用", "land use"),
    "trees": ("树木", "trees"),
    "pipes": ("地下管线", "pipes"),
    "furniture": ("城市部件", "city furniture"),
    "divisions": ("行政区划", "divisions"),
    "addresses": ("地名地址", "addresses"),
    "facilities": ("设施", "facilities"),
    "population": ("人口", "population"),
    "hazards": ("风险源", "hazard sites"),
    "citymodel": ("城市模型", "city model"),
    "mesh": ("实景三维", "survey mesh"),
    "points": ("点云", "point cloud"),
    "trajectories": ("轨迹", "trajectories"),
    "sensors": ("传感器", "sensors"),
    "observations": ("观测", "observations"),
    "incidents": ("事件", "incidents"),
}
UNITS = {
    "features": ("个", "features"),
    "rows": ("行", "rows"),
    "cells": ("格", "cells"),
    "points": ("点", "points"),
}
ELEMENTS = {
    "omission": "缺失",
    "commission": "多余",
    "conceptual consistency": "概念一致性",
    "domain consistency": "值域一致性",
    "format consistency": "格式一致性",
    "topological consistency": "拓扑一致性",
    "absolute or external accuracy": "绝对精度",
    "classification correctness": "分类正确性",
    "quantitative attribute accuracy": "定量属性精度",
    "accuracy of a time measurement": "时间测量精度",
    "temporal validity": "时间有效性",
    "temporal consistency": "时间一致性",
}
COLUMNS = {
    "name": "名称", "name_en": "英文名", "function": "用途", "structure": "结构", "roof_type": "屋顶",
    "heritage": "文物编码", "address": "地址", "source_id": "来源标识", "height": "高度", "eave_height": "檐口高",
    "terrain_height": "地面高程", "storeys": "层数", "year_built": "建成年份",
    "people_day": "昼间人数", "people_night": "夜间人数",
    "road_class": "道路等级", "width": "宽度", "lanes": "车道数", "bridge": "桥梁", "depth": "深度", "code": "代码",
    "division_level": "区划级别", "parent": "上级代码", "text": "标准地址", "province": "省", "city": "市",
    "district": "区县", "street": "街道", "road": "道路", "number": "门牌号", "kind": "类别", "capacity": "规模",
    "level": "等级", "valid_from": "生效日", "valid_to": "失效日",
    "tracker": "移动体", "begin_time": "起始时刻", "end_time": "结束时刻", "times": "各点时刻",
    "fixes": "定位点数", "length": "长度",
    "tracks": "股道数", "species": "树种", "leaf": "叶型", "crown": "冠幅", "trunk": "胸径", "year_planted": "栽植年份",
    "medium": "介质", "material": "材质", "reference": "量测基准", "diameter": "管径", "depth_start": "起点埋深",
    "depth_end": "终点埋深", "level_start": "起点高程", "level_end": "终点高程", "model": "模型", "heading": "朝向",
}  # fmt: skip
BETWEEN = {
    "same_buildings": ("同一建筑两次测得，质心之距", "the same building in both: distance of centroids"),
    "address_building": ("地址点到其建筑之距", "distance of address points to their building"),
    "surface_ground": ("空地上表面与地形之差", "surface against terrain on open ground"),
}
FIGURES = {
    "n": ("比较数", "compared", ""),
    "median": ("中位", "median", " m"),
    "p90": ("九成以内", "90 % within", " m"),
    "rms": ("中误差", "root mean square", " m"),
    "largest": ("最大", "largest", " m"),
    "inside": ("落在轮廓内", "inside", ""),
    "of": ("总数", "of", ""),
    "below": ("低于地形 1 m 以上", "over 1 m below terrain", ""),
    "function_differs": ("用途不一致", "use differs", ""),
    "height_differs": ("高差大于 3 m", "heights over 3 m apart", ""),
}

STYLE = """
:root{--ink:#2b2822;--soft:#645d51;--line:#ddd6c9;--paper:#fbf9f4;--green:#1f7a5c;--gold:#c8962e}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:14px/1.55 "Noto Sans SC","Noto Sans CJK SC",
"Source Han Sans SC","PingFang SC","Microsoft YaHei",sans-serif;font-variant-numeric:tabular-nums}
header,main,footer{max-width:1280px;margin:0 auto;padding:0 32px}
header{display:flex;flex-wrap:wrap;gap:16px 48px;justify-content:space-between;align-items:flex-end;
padding-top:36px;padding-bottom:20px;border-bottom:2px solid var(--green)}
h1{font-size:30px;line-height:1.25;margin:0;font-weight:600}
h2{font-size:19px;font-weight:600;margin:36px 0 12px}
h3{font-size:17px;font-weight:600;margin:0 0 10px}
h3 small{font-weight:400;color:var(--soft);font-size:13px;margin-left:8px}
h4{font-size:13px;font-weight:600;margin:16px 0 6px;color:var(--soft)}
.en{font-size:.82em;color:var(--soft);font-weight:400}
h1 .en{font-size:18px;margin-left:8px}
.over{margin:0;color:var(--green);font-weight:600}
.over .en{color:var(--green)}
.badge{display:inline-block;margin:10px 0 0;padding:2px 10px;border:1px dashed var(--gold);border-radius:4px}
dl,dd,dt,ul,ol,figure{margin:0;padding:0}
.summary{display:flex;flex-wrap:wrap;gap:8px 36px}
.summary dd{font-size:24px;line-height:1.3;font-weight:600}
.summary dt{color:var(--soft);font-size:13px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--line);vertical-align:baseline}
thead th{font-size:13px;font-weight:600;border-bottom:1px solid var(--soft)}
thead th.q{border-bottom-width:3px}
thead .en{display:block;line-height:1.2}
.matrix td,.matrix th{white-space:nowrap}
.matrix td.q{white-space:normal;min-width:112px;line-height:1.35;font-size:13px}
.matrix td.q b{font-weight:500}
.matrix td.q .en{display:block}
.matrix td.none{color:#8b8374}
.n{text-align:right;white-space:nowrap}
td.n,th.n{padding-right:18px}
a{color:var(--green);text-decoration:none}
a:hover,a:focus-visible{text-decoration:underline}
.sources article{border-top:1px solid var(--soft);padding:16px 0 28px;break-inside:avoid}
.pair{display:grid;grid-template-columns:minmax(0,1fr) 430px;gap:36px}
.pair.alone{grid-template-columns:minmax(0,1fr)}
.pair.slim{grid-template-columns:minmax(0,1fr) 240px}
.slim .map text{font-size:6.4px}
.facts{display:flex;flex-wrap:wrap;gap:4px 28px;margin-bottom:12px}
.facts dt{font-size:12px;color:var(--soft)}
.open{border-bottom:1px dashed var(--soft)}
.clean{margin:8px 0;color:var(--green);font-weight:600}
.found td.m{width:22px;padding-right:4px}
.found .el{font-size:13px;min-width:178px;color:var(--soft)}
.found .el .en,.found b .en{display:block;line-height:1.3}
.found tr.sub b{font-weight:400;padding-left:12px}
.found b{font-weight:600}
.q a{color:inherit}
details{font-size:12px;margin-top:2px}
summary{cursor:pointer;color:var(--green);width:max-content;max-width:100%}
ol.eg{margin:4px 0 4px 26px;max-height:260px;overflow-y:auto}
ol.eg:target{outline:1px solid var(--gold);outline-offset:4px}
.eg{font-size:12px;color:var(--soft);overflow-wrap:anywhere;line-height:1.4}
.mark{vertical-align:-2px;margin-right:5px}
.attrs{list-style:none;columns:2;column-gap:36px;font-size:13px}
.attrs li{display:grid;grid-template-columns:minmax(0,1fr) 84px 58px;gap:8px;align-items:center;break-inside:avoid}
.bar{display:block;height:8px;background:repeating-linear-gradient(135deg,#fff 0 2px,#d6cfc2 2px 4px);
outline:1px solid #cfc7b8}
.bar i{display:block;height:100%;background:#8a9f95}
.steps{padding-left:20px;font-size:13px;color:var(--soft);overflow-wrap:anywhere}
.map{display:block;width:100%;height:auto;border:1px solid var(--line)}
.map text{font-size:4.2px;fill:#3a352d;paint-order:stroke;stroke:#f6f3ec;stroke-width:1.2px;stroke-linejoin:round}
.legend{list-style:none;font-size:13px;margin-top:6px}
.legend .n{font-weight:600;white-space:normal}
.legend small{font-weight:400;color:var(--soft)}
.strip{display:block;width:100%;height:110px;background:#f6f3ec;border:1px solid var(--line)}
.ends{display:flex;justify-content:space-between;font-size:12px;color:var(--soft);margin:2px 0 6px}
.meets{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:16px 36px}
.meet{border-top:1px solid var(--soft);padding-top:10px}
.meet dl{display:flex;flex-wrap:wrap;gap:4px 26px}
.meet dt{font-size:12px;color:var(--soft)}
.meet dd{font-size:16px;font-weight:600}
footer{border-top:1px solid var(--line);margin-top:24px;padding-top:12px;padding-bottom:40px;font-size:12px;
color:var(--soft)}
@media (max-width:900px){.pair,.pair.slim{grid-template-columns:minmax(0,1fr)}.attrs{columns:1}
header,main,footer{padding-left:16px;padding-right:16px}.meets{grid-template-columns:minmax(0,1fr)}
h1{font-size:24px}.summary dd{font-size:19px}
.matrix thead,.matrix td.none,.matrix td:not([data-q]){display:none}
.matrix tr{display:block;padding:10px 0;border-bottom:1px solid var(--line)}
.matrix th,.matrix td{display:block;border:0;padding:1px 0}
.matrix td.n{display:inline-block;margin-right:18px}
.matrix td.n:not([data-q]){display:none}.matrix td.q .en{padding-left:84px}
.found .el .en+.en{margin-left:6px}
.matrix td.n::before{content:attr(data-q) " ";color:var(--soft);font-size:12px}
.matrix td.q::before{content:attr(data-q);display:inline-block;width:84px;font-size:12px}
.found thead{display:none}.found tr{display:grid;grid-template-columns:22px minmax(0,1fr) auto auto;column-gap:8px;
padding:8px 0;border-bottom:1px solid var(--line)}
.found td{border:0;padding:0}.found .el{grid-column:2/5;grid-row:2;min-width:0}
.found .el .en,.found b .en{display:inline}
a,summary{padding:4px 0}}
@media print{body{background:#fff;font-size:11px}.pair{grid-template-columns:minmax(0,1fr) 300px}
header,main,footer{max-width:none;padding:0}}
"""
