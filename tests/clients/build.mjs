// Bundles the pages of the clients into the folder that is named: everything they need lies there, nothing is fetched.
import { build } from "esbuild";
import { writeFile } from "node:fs/promises";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
const names = ["cesium", "three", "deck"];
await build({
  entryPoints: names.map((name) => join(here, `${name}.js`)), outdir: out, bundle: true, format: "esm", target: "es2022",
  // The engine is the viewer's own.
  nodePaths: [join(here, "../../server/viewer/node_modules")],
  logLevel: "error", logOverride: { "direct-eval": "silent" },
});
for (const name of names) {
  const page = `<!doctype html><meta charset="utf-8"><title>${name}</title><link rel="icon" href="data:,"><style>html,body,#scene,.cesium-widget{margin:0;width:100%;height:100%;overflow:hidden;background:#20242c}canvas{width:100%;height:100%}</style><div id="scene" style="position:relative"></div><script type="module" src="${name}.js"></script>`;
  await writeFile(join(out, `${name}.html`), page);
}
