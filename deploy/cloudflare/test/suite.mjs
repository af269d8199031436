// Runs a Go test program (built by `go test -c`) inside a Durable Object with an R2 bucket, and answers with what it prints.
// The first line of an answer is the exit code.
import { DurableObject } from "cloudflare:workers";
import { startGo } from "../src/go.mjs";
import module from "../dist/suite.wasm";

export class Suite extends DurableObject {
  async fetch(request) {
    const args = new URL(request.url).searchParams.getAll("arg");
    let output = "";
    const decoder = new TextDecoder();
    globalThis.fs.writeSync = (_, bytes) => { output += decoder.decode(bytes, { stream: true }); return bytes.length; };
    const code = await startGo(module, { env: this.env, state: this.ctx }, args).code;
    return new Response(`${code}\n${output}`);
  }
}

export default {
  fetch: (request, env) => env.SUITE.get(env.SUITE.idFromName("suite")).fetch(request),
};
