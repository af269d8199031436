// Runs a Worker of this folder in workerd, on this machine, for a script.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { here } from "./build.mjs";

const startTime = 120_000;

const freePort = () => new Promise((resolve) => {
  const free = createServer().listen(0, "127.0.0.1", () => {
    const { port } = free.address();
    free.close(() => resolve(port));
  });
});

// dev starts the Worker of a configuration with empty buckets, which are gone when it is stopped.
export async function dev(config) {
  const port = await freePort();
  const state = mkdtempSync(join(tmpdir(), "mess-worker-"));
  const wrangler = spawn("wrangler", ["dev", "--local", "-c", config, "--ip", "127.0.0.1", "--port", String(port),
    "--inspector-port", "0", "--persist-to", state, "--log-level", "info"], {
    cwd: here, detached: true, stdio: ["ignore", "pipe", "pipe"],
    // It asks nobody, watches nothing, and keeps no record of every call.
    env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CLOUDFLARE_CF_FETCH_ENABLED: "false",
      WRANGLER_CI_DISABLE_CONFIG_WATCHING: "true", WRANGLER_WRITE_LOGS: "false", X_LOCAL_OBSERVABILITY: "false", X_LOCAL_EXPLORER: "false" },
  });
  const stop = () => {
    try {
      process.kill(-wrangler.pid, "SIGKILL"); // workerd is a child of it
    } catch {
      // it has ended
    }
    rmSync(state, { recursive: true, force: true });
  };
  try {
    await new Promise((resolve, reject) => {
      let said = "";
      const hear = (data) => {
        said = (said + data).slice(-10_000);
        if (said.includes("Ready on")) resolve();
      };
      wrangler.stdout.on("data", hear);
      wrangler.stderr.on("data", hear);
      wrangler.on("error", reject);
      wrangler.on("exit", () => reject(new Error(`wrangler has ended:\n${said}`)));
      setTimeout(() => reject(new Error(`wrangler did not begin:\n${said}`)), startTime).unref();
    });
  } catch (e) {
    stop();
    throw e;
  }
  return { url: `http://127.0.0.1:${port}`, stop };
}
