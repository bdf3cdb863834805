import assert from "node:assert/strict";
import { atFirst, collectionOf, hasLayer } from "../src/scene/classes.ts";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { clock, evidence, heightText, sparkline, valueLevel, valueText } from "../src/format.ts";
import { areaOf, centre, distanceTo, mercator } from "../src/geo.ts";
import { en } from "../src/i18n/en.ts";
import { zh } from "../src/i18n/zh.ts";
import { firstLang, named, text, word } from "../src/i18n.ts";
import { contrast, GOLD, inkOn, LEVELS, RISK, riskColour, SEVERITY, UNKNOWN } from "../src/palette.ts";
import { isSoftware, qualityFor } from "../src/quality.ts";
import { atLocalHour, localHour, sunPosition } from "../src/solar.ts";
import { Store } from "../src/store.ts";
import { incidentsFrom, levelsFrom, pairFrom, thingsFrom } from "../src/wire.ts";

test("both catalogues hold the same keys and the same placeholders, and no text is empty", () => {
  assert.deepEqual(Object.keys(en).sort(), Object.keys(zh).sort());
  for (const key of Object.keys(zh) as (keyof typeof zh)[]) {
    const holes = (line: string): string[] => (line.match(/\{\w+\}/g) ?? []).sort();
    assert.deepEqual(holes(en[key]), holes(zh[key]), key);
    assert.ok(en[key].length > 0 && zh[key].length > 0, key);
  }
});

test("every key that the sources ask for by name is in the catalogue", () => {
  const root = new URL("../src/", import.meta.url);
  for (const name of readdirSync(root, { recursive: true }) as string[]) {
    if (!name.endsWith(".ts") || name.startsWith("i18n")) continue;
    const source = readFileSync(new URL(name, root), "utf8");
    for (const [, key] of source.matchAll(/(?:\bt\(\w+|text\([\w.]+|say\(?|iconButton\(\w+, "\w+"),?\s*"([a-z]+\.[\w.]+)"/g)) {
      assert.ok(key! in zh, `${name}: ${key}`);
    }
  }
});

test("a height speaks with its uncertainty and its evidence", () => {
  assert.equal(heightText(23.44, 0.61), "23.4 m ±0.6");
  assert.equal(heightText(23.44, null), "23.4 m");
  assert.equal(heightText(null, 1), "–");
  assert.equal(evidence("zh", "pointcloud").chip, "激光");
  assert.equal(evidence("zh", "surveyed").sure, "measured");
  assert.equal(evidence("en", "default").sure, "assumed");
  assert.equal(evidence("en", undefined).chip, "Assumed");
});

test("limits work upwards and, where the alarm lies lower, downwards", () => {
  assert.equal(valueLevel(5, 4, 6), "warn");
  assert.equal(valueLevel(6, 4, 6), "alarm");
  assert.equal(valueLevel(3, 4, 6), "normal");
  assert.equal(valueLevel(1, 2, 0.5), "warn");
  assert.equal(valueLevel(0.4, 2, 0.5), "alarm");
  assert.equal(valueLevel(undefined, 2, 0.5), "none");
  assert.equal(valueLevel(9, Number.NaN, Number.NaN), "normal");
});

test("a value has the digits that its range deserves", () => {
  assert.equal(valueText(345.67, 0, 5000), "346");
  assert.equal(valueText(23.456, 0, 50), "23.5");
  assert.equal(valueText(0.456, 0, 5), "0.46");
});

test("the sun stands where the almanac says it does", () => {
  // Datong, 2026-06-21 12:27 local mean noon: elevation 90 - 40.09 + 23.44.
  const noon = sunPosition(Date.parse("2026-06-21T12:29:00+08:00"), 113.3, 40.09);
  assert.ok(Math.abs(noon.elevation - 73.35) < 0.1, String(noon.elevation));
  const dusk = sunPosition(Date.parse("2026-06-21T18:30:00+08:00"), 113.3, 40.09);
  assert.ok(dusk.elevation > 10 && dusk.elevation < 20, String(dusk.elevation));
  assert.ok(dusk.azimuth > 270 && dusk.azimuth < 300, String(dusk.azimuth));
  // Winter solstice at Greenwich, true noon: 90 - 51.48 - 23.44 = 15.08.
  const winter = sunPosition(Date.parse("2025-12-21T11:58:00Z"), 0, 51.48);
  assert.ok(Math.abs(winter.elevation - 15.08) < 0.1, String(winter.elevation));
});

test("the hour of the local clock goes there and back", () => {
  const reference = Date.parse("2026-06-21T18:30:00+08:00");
  assert.equal(localHour(reference, 8), 18.5);
  assert.equal(localHour(atLocalHour(reference, 8, 3.25), 8), 3.25);
  assert.equal(clock(atLocalHour(reference, 8, 3.25), 8, true), "2026-06-21 03:15");
});

test("a square of a thousandth of a degree has its area and its middle", () => {
  const ring = [[113, 40], [113.001, 40], [113.001, 40.001], [113, 40.001], [113, 40]];
  const square = { type: "Polygon" as const, coordinates: [ring] };
  assert.ok(Math.abs(areaOf(square) - 85394 * 0.001 * 111035 * 0.001) < 5);
  const middle = centre(square)!;
  assert.ok(Math.abs(middle[0] - 113.0005) < 1e-9 && Math.abs(middle[1] - 40.0005) < 1e-9);
});

test("distance to a line is measured in metres", () => {
  assert.ok(Math.abs(distanceTo([113, 40.001], [[112.99, 40], [113.01, 40]]) - 111.03) < 0.1);
  assert.deepEqual(mercator([0, 0]), [0.5, 0.5]);
});

test("a sparkline starts at the left, ends at the right and stays in its box", () => {
  const path = sparkline([1, 3, 2], 100, 20);
  assert.equal(path, "M0.0 20.0L50.0 0.0L100.0 10.0");
  assert.equal(sparkline([], 100, 20), "");
});

test("risk and warnings share no colour, and their numbers can be read on them", () => {
  const risk = [...Object.values(RISK), UNKNOWN, GOLD];
  for (const colour of Object.values(SEVERITY)) assert.ok(!risk.includes(colour));
  for (const level of LEVELS) assert.ok(contrast(inkOn(riskColour(level)), riskColour(level)) >= 4.5);
  assert.equal(riskColour(0), UNKNOWN);
  assert.equal(riskColour(undefined), UNKNOWN);
});

test("software renderers are known by name and give up luxuries only", () => {
  assert.ok(isSoftware("ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)))"));
  assert.ok(isSoftware("llvmpipe (LLVM 15)"));
  assert.ok(!isSoftware("ANGLE (NVIDIA GeForce RTX)"));
  assert.equal(qualityFor("SwiftShader", null, 2).msaa, 1);
  assert.equal(qualityFor("SwiftShader", "full", 1).shadows, true);
});

test("the reader's language is found in the order asked, kept, wanted", () => {
  assert.equal(firstLang("en", "zh", ["zh-CN"]), "en");
  assert.equal(firstLang(null, null, ["fr-FR", "en-GB"]), "en");
  assert.equal(firstLang(null, null, ["fr"]), "zh");
  assert.equal(named("en", "鼓楼", ""), "鼓楼");
  assert.equal(text("en", "search.count", { n: 3 }), "3 results");
  assert.equal(word("zh", "function", "heritage"), "文物建筑");
  assert.equal(word("zh", "function", "spaceport"), "spaceport");
});

test("answers of the server are read in any of their declared shapes", () => {
  assert.deepEqual(pairFrom(["2026-06-21T18:30:00+08:00", 4]), [1782037800000, 4]);
  assert.deepEqual(pairFrom({ time: 1782037800, value: 4 }), [1782037800000, 4]);
  assert.equal(levelsFrom({ a: 5, b: null, c: { level: 2 } }).get("b"), 0);
  const [thing] = thingsFrom({ things: [{ oid: "s", name: "n", lon: 1, lat: 2, datastreams: [{ oid: "d", unit: "m", last: [0, 1.5] }] }] });
  assert.deepEqual(thing!.streams[0]!.values, [1.5]);
  const [incident] = incidentsFrom({ features: [{ id: "i", geometry: { type: "Point", coordinates: [1, 2] }, properties: { severity: 9 } }] });
  assert.equal(incident!.lon, 1);
  assert.equal(incident!.severity, 4);
});

test("a store tells only those who listen to what changed", () => {
  const store = new Store({ a: 1, b: 1 });
  const seen: number[] = [];
  const stop = store.watch(["a"], ({ a }) => seen.push(a));
  store.set({ b: 2 });
  store.set({ a: 2 });
  store.set({ a: 2 });
  stop();
  store.set({ a: 3 });
  assert.deepEqual(seen, [1, 2]);
});

test("a switch is offered where its tileset is, and surfaces are on where no picture shows the ground", () => {
  assert.equal(hasLayer("trees", ["l2", "trees"]), true);
  assert.equal(hasLayer("cover_road", ["l2", "surfaces"]), true);
  assert.equal(hasLayer("pipes", ["l2", "trees"]), false);
  assert.equal(hasLayer("terrain", []), true);
  assert.equal(atFirst(true)["cover_road"], false);
  assert.equal(atFirst(false)["cover_road"], true);
  assert.deepEqual([atFirst(false)["pipes"], atFirst(false)["trees"]], [false, true]);
});

test("a picked thing leads to the collection of its class", () => {
  assert.equal(collectionOf("surfaces", { class: "road" }), "roads");
  assert.equal(collectionOf("surfaces", {}), "");
  assert.equal(collectionOf("trees", {}), "trees");
});
