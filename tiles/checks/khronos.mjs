// Contents on standard input, each after its length (uint32, little-endian); one line of JSON for each on standard output.
// The package is looked for beside this file and in the folder that the command runs in.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

function load() {
  for (const from of [import.meta.url, `${process.cwd()}/package.json`]) {
    try {
      return createRequire(from)("gltf-validator");
    } catch {
      continue;
    }
  }
  process.exit(3);
}

const validator = load();
if (process.argv.includes("--there")) process.exit(0);

const data = readFileSync(0);
for (let at = 0; at < data.length; ) {
  const size = data.readUInt32LE(at);
  const content = new Uint8Array(data.subarray(at + 4, at + 4 + size));
  at += 4 + size;
  let messages;
  try {
    const report = await validator.validateBytes(content, { maxIssues: 100, ignoredIssues: ["UNUSED_OBJECT"] });
    messages = report.issues.messages;
  } catch (error) {
    messages = [{ code: "UNREADABLE", message: String(error), severity: 0 }];
  }
  const lines = messages.map((m) => ({ code: m.code, message: m.message, severity: m.severity, pointer: m.pointer ?? "" }));
  process.stdout.write(JSON.stringify(lines) + "\n");
}
