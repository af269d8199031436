// Runs the suite of all storage types (internal/bucket/buckettest) on an R2 binding inside workerd. Arguments are those of
// the test program, such as -test.run=TestR2/Replace.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dist, go, here } from "./build.mjs";

const startTime = 120_000;

go("test", "-c", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", join(dist, "suite.wasm"), "./internal/bucket/r2blob");

const port = await new Promise((resolve) => {
  const free = createServer().listen(0, "127.0.0.1", () => {
    const { port } = free.address();
    free.close(() => resolve(port));
  });
});
const state = mkdtempSync(join(tmpdir(), "mess-worker-suite-"));
const wrangler = spawn("wrangler", ["dev", "--local", "-c", "test/suite.jsonc", "--ip", "127.0.0.1", "--port", String(port),
  "--inspector-port", "0", "--persist-to", state], {
  cwd: here, detached: true, stdio: ["ignore", "pipe", "pipe"],
  env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CLOUDFLARE_CF_FETCH_ENABLED: "false" },
});

let code = 1;
try {
  await new Promise((resolve, reject) => {
    let said = "";
    const hear = (data) => {
      said += data;
      if (said.includes("Ready on")) resolve();
    };
    wrangler.stdout.on("data", hear);
    wrangler.stderr.on("data", hear);
    wrangler.on("exit", () => reject(new Error(`wrangler has ended:\n${said}`)));
    setTimeout(() => reject(new Error(`wrangler did not begin:\n${said}`)), startTime).unref();
  });
  const query = new URLSearchParams(["-test.v", ...process.argv.slice(2)].map((arg) => ["arg", arg]));
  const text = await (await fetch(`http://127.0.0.1:${port}/?${query}`)).text();
  const end = text.indexOf("\n");
  code = Number(text.slice(0, end));
  console.log(text.slice(end + 1));
} catch (e) {
  console.error(String(e));
} finally {
  process.kill(-wrangler.pid, "SIGKILL"); // workerd is a child of it
  rmSync(state, { recursive: true, force: true });
}
process.exit(code);
