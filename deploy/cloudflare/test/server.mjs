// The Worker as it is, with a door for the end-to-end tests beside it (internal/e2e): the bucket seen from outside,
// and ways to end the program inside: /-test/stop, and /-test/lose, after which no alarm rings either.
import server from "../src/index.mjs";
import { Core as Served } from "../src/core.mjs";

export class Core extends Served {
  #deaf = false;

  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path !== "/-test/stop" && path !== "/-test/lose") return super.fetch(request);
    this.#deaf = path === "/-test/lose";
    (await this.program()).stop(137);
    return new Response();
  }

  async alarm() {
    if (!this.#deaf) await super.alarm();
  }
}

const door = "/-test/objects/";

export default {
  ...server,
  async fetch(request, env) {
    const url = new URL(request.url);
    if (!url.pathname.startsWith(door)) return server.fetch(request, env);
    const key = decodeURIComponent(url.pathname.slice(door.length));
    if (key === "") {
      const { objects, truncated, cursor } = await env.BUCKET.list({ cursor: url.searchParams.get("cursor") ?? undefined });
      return Response.json({ keys: objects.map((o) => o.key), cursor: truncated ? cursor : "" });
    }
    if (request.method === "PUT") {
      await env.BUCKET.put(key, await request.arrayBuffer());
      return new Response();
    }
    const object = await env.BUCKET.get(key);
    return object === null ? new Response(null, { status: 404 }) : new Response(await object.arrayBuffer());
  },
};
