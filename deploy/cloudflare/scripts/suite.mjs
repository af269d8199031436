// Runs the suite of all storage types (internal/bucket/buckettest) on an R2 binding inside workerd. Arguments are those of
// the test program, such as -test.run=TestR2/Replace.
import { join } from "node:path";
import { dist, go } from "./build.mjs";
import { dev } from "./dev.mjs";

go("test", "-c", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", join(dist, "suite.wasm"), "./internal/bucket/r2blob");

let code = 1, worker;
try {
  worker = await dev("test/suite.jsonc");
  const query = new URLSearchParams(["-test.v", ...process.argv.slice(2)].map((arg) => ["arg", arg]));
  const text = await (await fetch(`${worker.url}/?${query}`)).text();
  const end = text.indexOf("\n");
  code = Number(text.slice(0, end));
  console.log(text.slice(end + 1));
} catch (e) {
  console.error(String(e));
} finally {
  worker?.stop();
}
process.exit(code);
