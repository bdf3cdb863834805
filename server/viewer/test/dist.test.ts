import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

const here = fileURLToPath(new URL("..", import.meta.url));
const dist = join(here, "dist");
const version = (JSON.parse(readFileSync(join(here, "package.json"), "utf8")) as { dependencies: { cesium: string } }).dependencies.cesium;
const engine = join(dist, `cesium-${version}`);
/** Workers of the first view, in one piece each. */
const WHOLE = ["createVerticesFromQuantizedTerrainMesh", "upsampleQuantizedTerrainMesh", "incrementallyBuildTerrainPicker"].map((name) => `Workers/${name}.js`);
const skip = existsSync(engine) ? false : "npm run build has not run";

function files(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).filter((name) => statSync(join(folder, name)).isFile());
}
const digest = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

test("workers, decoders and assets of the engine are shipped as they were published", { skip }, () => {
  const published = join(here, "node_modules/cesium/Build/Cesium");
  let compared = 0;
  for (const name of files(engine)) {
    if (/\.(br|gz)$/.test(name) || name.startsWith("engine.js") || name === "LICENSE.md" || name === "ThirdParty.json") continue;
    if (WHOLE.includes(name)) continue;
    assert.equal(digest(join(engine, name)), digest(join(published, name)), name);
    compared += 1;
  }
  assert.ok(compared > 100, String(compared));
});

test("workers of the first view ask for nothing more", { skip }, () => {
  for (const name of WHOLE) assert.doesNotMatch(readFileSync(join(engine, name), "utf8"), /\bfrom\s*"\.|\bimport\s*"/, name);
});

test("licences travel with the engine", { skip }, () => {
  assert.match(readFileSync(join(engine, "LICENSE.md"), "utf8"), /Apache License/);
  assert.ok(existsSync(join(engine, "ThirdParty.json")));
});

test("compressed twins unpack to the very file beside them", { skip }, () => {
  for (const name of ["app.js", "app.css", `cesium-${version}/engine.js`]) {
    const plain = readFileSync(join(dist, name));
    assert.ok(brotliDecompressSync(readFileSync(join(dist, `${name}.br`))).equals(plain), name);
    assert.ok(gunzipSync(readFileSync(join(dist, `${name}.gz`))).equals(plain), name);
  }
});

test("our own files name no other host and ask for no evaluation", { skip }, () => {
  for (const name of ["app.js", "app.css", "index.html"]) {
    const source = readFileSync(join(dist, name), "utf8").replaceAll("http://www.w3.org/2000/svg", "");
    assert.doesNotMatch(source, /https?:\/\/[a-z]/i, name);
    assert.doesNotMatch(source, /\beval\(|new Function/, name);
  }
});

test("the page holds no inline script and no inline style, as its policy demands", () => {
  const html = readFileSync(join(here, "index.html"), "utf8");
  assert.doesNotMatch(html, /<script(?![^>]*src=)[^>]*>/);
  assert.doesNotMatch(html, /\sstyle=|<style|\son\w+=/);
});

test("the lock file holds no address of a registry", () => {
  assert.doesNotMatch(readFileSync(join(here, "package-lock.json"), "utf8"), /"resolved"/);
});
