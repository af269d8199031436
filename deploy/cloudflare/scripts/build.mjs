// Builds the Go program into dist/, with the wasm_exec.js of the same Go beside it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const here = dirname(dirname(fileURLToPath(import.meta.url)));
export const repository = join(here, "..", "..");
export const dist = join(here, "dist");

const text = (command, ...args) => execFileSync(command, args, { cwd: repository, encoding: "utf8" }).trim();

// go runs the Go tool for WebAssembly. grpcnotrace keeps 9 MB out of the program, as in the Makefile.
export function go(...args) {
  mkdirSync(dist, { recursive: true });
  copyFileSync(join(text("go", "env", "GOROOT"), "lib", "wasm", "wasm_exec.js"), join(dist, "wasm_exec.js"));
  execFileSync("go", args, { cwd: repository, stdio: "inherit", env: { ...process.env, GOOS: "js", GOARCH: "wasm" } });
}

export function build() {
  let version = "dev";
  try {
    version = text("git", "describe", "--tags", "--always", "--dirty");
  } catch {
    // not from a git checkout
  }
  go("build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", `-s -w -X main.version=${version}`,
    "-o", join(dist, "mess-worker.wasm"), "./cmd/mess-worker");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
