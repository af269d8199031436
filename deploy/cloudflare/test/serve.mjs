// Serves the Worker of server.jsonc as `wrangler dev --local` does, but bundles it once and watches no file:
//
//	node test/serve.mjs <port> <folder of the R2> [NAME=value …]
import { unstable_dev } from "wrangler";

const [port, folder, ...settings] = process.argv.slice(2);
const vars = Object.fromEntries(settings.map((s) => [s.slice(0, s.indexOf("=")), s.slice(s.indexOf("=") + 1)]));

await unstable_dev("test/server.mjs", {
  config: "test/server.jsonc", ip: "127.0.0.1", port: Number(port), inspect: false, local: true, persistTo: folder, vars, logLevel: "info",
  experimental: { watch: false, forceLocal: true, showInteractiveDevSession: false, disableExperimentalWarning: true, disableDevRegistry: true },
});
console.log(`listening on http://127.0.0.1:${port}`);
