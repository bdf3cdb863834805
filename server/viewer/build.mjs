// Builds dist/: our bundle, the page, the engine, and .br/.gz twins of all text.
import { build } from "esbuild";
import { brotliCompress, gzip, constants } from "node:zlib";
import { promisify } from "node:util";
import { cp, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const packed = join(here, "node_modules/cesium");
const version = JSON.parse(await readFile(join(packed, "package.json"), "utf8")).version;
const engine = `cesium-${version}`;

// Workers, decoders and only the assets the viewer can ask for, byte for byte as published.
// The published index.js is not among them: it carries the widgets, whose template library calls eval as the module
// loads, and a strict content policy stops it there. We bundle the engine package of the same release instead.
const KEEP = [
  "Workers",
  "ThirdParty/draco_decoder.wasm",
  "ThirdParty/basis_transcoder.wasm",
  "ThirdParty/Workers",
  "Assets/approximateTerrainHeights.json",
  "Assets/IAU2006_XYS",
  "Assets/Images/ion-credit.png",
  "Assets/Textures/waterNormalsSmall.jpg",
  "Assets/Textures/moonSmall.jpg",
];
const WHOLE = ["createVerticesFromQuantizedTerrainMesh", "upsampleQuantizedTerrainMesh", "incrementallyBuildTerrainPicker"];
const COMPRESS = new Set([".js", ".css", ".html", ".json", ".wasm", ".svg", ".md", ".txt"]);

async function copyEngine() {
  const from = join(packed, "Build/Cesium");
  const to = join(dist, engine);
  for (const item of KEEP) {
    const source = join(from, item);
    await stat(source).catch(() => {
      throw new Error(`cesium ${version} no longer holds ${item}: review KEEP in build.mjs`);
    });
    await mkdir(dirname(join(to, item)), { recursive: true });
    await cp(source, join(to, item), { recursive: true });
  }
  await cp(join(packed, "LICENSE.md"), join(to, "LICENSE.md"));
  await cp(join(packed, "ThirdParty.json"), join(to, "ThirdParty.json"));
}

/** Every name our sources import from the engine, so that the rest of it is left out. */
async function engineNames() {
  const names = new Set();
  for await (const path of walk(join(here, "src"))) {
    if (!path.endsWith(".ts")) continue;
    const source = await readFile(path, "utf8");
    for (const [, list] of source.matchAll(/import\s*\{([^}]*)\}\s*from\s*"cesium"/g)) {
      for (const item of list.split(",")) {
        const name = item.trim();
        if (name && !name.startsWith("type ")) names.add(name.split(/\s+as\s+/)[0]);
      }
    }
  }
  return [...names].sort();
}

async function bundle() {
  const externalEngine = {
    name: "external-engine",
    setup(b) {
      b.onResolve({ filter: /^cesium$/ }, () => ({ path: `./${engine}/engine.js`, external: true }));
    },
  };
  const common = {
    bundle: true,
    minify: true,
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    define: { __ENGINE__: JSON.stringify(engine) },
  };
  // Each of these is asked for before the first picture, and is published in up to 23 pieces that come one after the other.
  for (const worker of WHOLE) {
    await build({ ...common, entryPoints: [join(packed, "Build/Cesium/Workers", `${worker}.js`)], outfile: join(dist, engine, "Workers", `${worker}.js`), format: "esm", legalComments: "inline" });
  }
  await build({
    ...common,
    entryPoints: [join(here, "src/main.ts")],
    outfile: join(dist, "app.js"),
    format: "esm",
    plugins: [externalEngine],
  });
  await build({
    ...common,
    stdin: { contents: `export { ${(await engineNames()).join(", ")} } from "@cesium/engine";`, resolveDir: here },
    outfile: join(dist, engine, "engine.js"),
    format: "esm",
    legalComments: "external",
    banner: { js: `/* CesiumJS ${version}, Apache-2.0; see LICENSE.md and ThirdParty.json beside this file */` },
    logOverride: { "direct-eval": "silent" },
  });
  await build({ ...common, entryPoints: [join(here, "src/style/app.css")], outfile: join(dist, "app.css") });
}

// A content stamp in the query keeps caches honest without renaming the files that embedders link to.
async function page() {
  let html = await readFile(join(here, "index.html"), "utf8");
  for (const name of ["app.js", "app.css"]) {
    const stamp = createHash("sha256").update(await readFile(join(dist, name))).digest("hex").slice(0, 10);
    html = html.replaceAll(`"${name}"`, `"${name}?v=${stamp}"`);
  }
  const icon = await readFile(join(here, "public/icon.svg"));
  html = html.replace('"icon.svg"', `"data:image/svg+xml;base64,${icon.toString("base64")}"`);
  await writeFile(join(dist, "index.html"), html.replaceAll("__ENGINE__", engine));
  await cp(join(here, "public"), dist, { recursive: true });
}

async function* walk(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}

async function precompress() {
  const br = promisify(brotliCompress);
  const gz = promisify(gzip);
  for await (const path of walk(dist)) {
    if (!COMPRESS.has(extname(path))) continue;
    const raw = await readFile(path);
    if (raw.length < 1024) continue;
    const [small, wide] = await Promise.all([
      br(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } }),
      gz(raw, { level: 9 }),
    ]);
    if (small.length < raw.length * 0.97) await writeFile(`${path}.br`, small);
    if (wide.length < raw.length * 0.97) await writeFile(`${path}.gz`, wide);
  }
}

const started = performance.now();
await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await copyEngine();
await bundle();
await page();
await precompress();
let bytes = 0;
let files = 0;
for await (const path of walk(dist)) {
  bytes += (await stat(path)).size;
  files += 1;
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(`${relative(process.cwd(), dist) || "dist"}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB, engine ${version}, ${seconds} s`);
