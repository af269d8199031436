// The Worker: everything is in one Durable Object (core.mjs).
export { Core } from "./core.mjs";

const daily = "17 3 * * *"; // as in wrangler.jsonc

const core = (env) => env.CORE.get(env.CORE.idFromName("mess"));

export default {
  fetch: (request, env) => core(env).fetch(request),
  scheduled: (event, env) => core(env).run(event.cron === daily ? "daily" : "often"),
};
