// The Worker as it is, for the end-to-end tests (internal/e2e), which start one `wrangler dev` for many of them. Each test
// has a place in it: a bucket of its own (BUCKET_0 …) and an object of its own, in which the Worker's one program lives.
// The place is told by the address that a request was sent to, and beside it there is a door for the tests:
//
//	POST /-test/begin/<place>          a server begins: {host, vars}, the address it has and its settings
//	POST /-test/end/<place>            it ends without a word: its program, and the alarm that would begin another
//	/-test/ready                       200
//	POST /-test/stop                   only the program ends, at the address of a server
//	POST /-test/lose                   the same, and no alarm rings until a server begins
//	/-test/objects/<place>/[key]       the bucket seen from outside: list, GET, PUT
import server from "../src/index.mjs";
import { Core as Served } from "../src/core.mjs";

console.log = console.warn; // the program's log, in what wrangler shows of all

const hosts = new Map(); // the places, by the address of their servers

export class Core extends Served {
  #env = this.env;
  #deaf = false;

  constructor(ctx, env) {
    super(ctx, env);
    this.#settle();
  }

  // #settle gives the program the environment of its place, as an alarm also finds it that rings in a new process.
  #settle() {
    const { place, vars } = this.ctx.storage.kv.get("server") ?? {};
    this.env = { ...this.#env, ...vars, BUCKET: this.#env[`BUCKET_${place}`] };
  }

  async begin(place, vars) {
    this.#deaf = false;
    this.ctx.storage.kv.put("server", { place, vars });
    this.#settle();
    const due = this.ctx.storage.kv.get("due");
    this.ctx.storage.kv.delete("due");
    if (due) await this.ctx.storage.setAlarm(due);
  }

  // end keeps when the alarm would have rung: while nothing runs, it does not, nor does one that the end of the program cuts
  // off and that would ring again.
  async end() {
    this.#deaf = true;
    const due = await this.ctx.storage.getAlarm();
    await this.ctx.storage.deleteAlarm();
    if (due !== null) this.ctx.storage.kv.put("due", due);
    await this.stop();
  }

  async stop() {
    const program = await this.started?.catch(() => null); // one that could not begin has ended
    program?.stop(137);
  }

  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path !== "/-test/stop" && path !== "/-test/lose") return super.fetch(request);
    this.#deaf = path === "/-test/lose";
    await this.program();
    await this.stop();
    return new Response();
  }

  async alarm() {
    if (!this.#deaf) await super.alarm();
  }
}

// envOf is the environment of a Worker that has one object.
const envOf = (env, place) => ({ ...env, CORE: { idFromName: () => env.CORE.idFromName(place), get: (id) => env.CORE.get(id) } });

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [, what, place, key] = url.pathname.match(/^\/-test\/(ready|begin|end|objects)(?:\/([0-9]+)\/?(.*))?$/) ?? [];
    const core = () => env.CORE.get(env.CORE.idFromName(place));
    switch (what) {
      case "ready":
        return new Response();
      case "begin": {
        const { host, vars } = await request.json();
        await core().begin(place, vars);
        hosts.set(host, place);
        return new Response();
      }
      case "end":
        for (const [host, there] of hosts) if (there === place) hosts.delete(host);
        await core().end();
        return new Response();
      case "objects":
        return objects(request, env[`BUCKET_${place}`], decodeURIComponent(key), url.searchParams.get("cursor") ?? undefined);
    }
    const there = hosts.get(url.host);
    return there === undefined ? new Response("no server has this address", { status: 421 }) : server.fetch(request, envOf(env, there));
  },

  // A cron trigger is one of all servers that run.
  scheduled: (event, env) => Promise.all([...new Set(hosts.values())].map((place) => server.scheduled(event, envOf(env, place)))),
};

async function objects(request, bucket, key, from) {
  if (key === "") {
    const { objects, truncated, cursor } = await bucket.list({ cursor: from });
    return Response.json({ keys: objects.map((o) => o.key), cursor: truncated ? cursor : "" });
  }
  if (request.method === "PUT") {
    await bucket.put(key, await request.arrayBuffer());
    return new Response();
  }
  const object = await bucket.get(key);
  return object === null ? new Response(null, { status: 404 }) : new Response(await object.arrayBuffer());
}
