// The same program in two shapes, and a Worker that does nothing, for scripts/bench.mjs. The first element of a path says
// which: /object is the Worker as it is, one program in a Durable Object; /each begins a program for each request and ends it
// with the answer, as common frameworks for Go on Workers do; /bare answers at once. /object/-stop ends the program.
import server from "../src/index.mjs";
import { Core as Served, answer } from "../src/core.mjs";
import { startGo } from "../src/go.mjs";
import module from "../dist/mess-worker.wasm";

export class Core extends Served {
  async fetch(request) {
    if (new URL(request.url).pathname !== "/-stop") return super.fetch(request);
    (await this.program()).stop(137);
    return new Response();
  }
}

// A program that lives no longer than a request has nobody to wake it.
const noAlarm = { storage: { getAlarm: async () => null, setAlarm: async () => {} } };

async function each(request, env) {
  const program = { calls: new Set() };
  await new Promise((resolve, reject) => {
    program.stop = startGo(module, {
      env, state: noAlarm, failed: (sentence) => reject(new Error(sentence)),
      ready: (request, task) => resolve(Object.assign(program, { request, task })),
    }).stop;
  });
  try {
    return await answer(program, request);
  } finally {
    program.stop(0);
  }
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [, shape, path] = url.pathname.match(/^\/(object|each|bare)(\/.*)$/) ?? [];
    const inner = new Request(new URL(path + url.search, url), request);
    switch (shape) {
      case "object": return server.fetch(inner, env);
      case "each": return each(inner, { ...env, BUCKET: env.EACH });
      case "bare": return new Response("{}");
    }
    return new Response(null, { status: 404 });
  },
};
