// Runs a Go program (GOOS=js) inside workerd. wasm_exec.js is of the Go that built the program: worker:build copies it.
import "../dist/wasm_exec.js";

// startGo begins a program. It finds `host` as globalThis.mess, and `exited` is settled with its exit code when it ends,
// by itself or by a panic. After that nothing of it runs any more: its timers are taken away.
export function startGo(module, host, args = [], environment = {}) {
  const go = new globalThis.Go();
  go.argv = ["mess", ...args];
  go.env = environment;
  let ended;
  const exited = new Promise((resolve) => { ended = resolve; });
  go.exit = (code) => {
    go._resume = () => {};
    for (const timer of go._scheduledTimeouts.values()) clearTimeout(timer);
    go._scheduledTimeouts.clear();
    ended(code);
  };
  globalThis.mess = host;
  go.run(new WebAssembly.Instance(module, go.importObject)).catch((e) => { console.error(String(e)); go.exit(2); });
  return exited;
}
