// What `wrangler deploy` would upload, without uploading it, held against what Cloudflare takes. Wrangler itself checks
// no size. 10 MB compressed is the older limit of the paid plan, 64 MB as it is the newer one: below both there is room.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { dist, here } from "./build.mjs";

const mostRaw = 32 << 20, mostCompressed = 9 << 20;
const bundle = join(dist, "bundle");

rmSync(bundle, { recursive: true, force: true }); // of an earlier build files of other names are left
execFileSync("wrangler", ["deploy", "--dry-run", "--outdir", bundle], { cwd: here, stdio: "inherit" });
const files = readdirSync(bundle).filter((name) => /\.(wasm|m?js)$/.test(name)).map((name) => readFileSync(join(bundle, name)));
const raw = files.reduce((sum, data) => sum + data.length, 0);
const compressed = files.reduce((sum, data) => sum + gzipSync(data, { level: 9 }).length, 0);
console.log(`worker: ${raw} bytes, ${compressed} compressed (at most ${mostRaw} and ${mostCompressed})`);
if (raw > mostRaw || compressed > mostCompressed) {
  console.error("worker: too large to deploy");
  process.exit(1);
}
