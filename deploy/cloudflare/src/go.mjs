// Runs a Go program (GOOS=js) inside workerd. wasm_exec.js is of the Go that built the program: worker:build copies it.
import "../dist/wasm_exec.js";

// startGo begins a program, which finds `host` as globalThis.mess. `code` is a promise of its exit code, when it ends by
// itself or by a panic; `stop` ends it at once. After that nothing of it runs any more: its timers are taken away.
export function startGo(module, host, args = []) {
  const go = new globalThis.Go();
  go.argv = ["mess", ...args];
  let ended;
  const code = new Promise((resolve) => { ended = resolve; });
  const stop = (code) => {
    go._resume = () => {};
    for (const timer of go._scheduledTimeouts.values()) clearTimeout(timer);
    go._scheduledTimeouts.clear();
    ended(code);
  };
  go.exit = stop;
  globalThis.mess = host;
  go.run(new WebAssembly.Instance(module, go.importObject)).catch((e) => { console.error(String(e)); stop(2); });
  return { code, stop };
}
