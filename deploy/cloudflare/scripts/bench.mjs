// Measures the Worker beside the same program begun anew for each request, and beside a Worker that does nothing, in one run on
// this machine (test/bench.mjs). Machines differ; the ratios are what counts. Every figure is a median, and the shapes
// take turns.
//
//	node scripts/bench.mjs [rounds] [starts]
import { build } from "./build.mjs";
import { dev } from "./dev.mjs";

const rounds = Number(process.argv[2] ?? 50), starts = Number(process.argv[3] ?? 3);
const shapes = ["object", "each"];

const median = (all) => all.toSorted((a, b) => a - b)[all.length >> 1];

async function timed(f) {
  const begun = performance.now();
  const got = await f();
  return [performance.now() - begun, got];
}

async function ask(url, status, method = "GET", body = undefined, key = undefined) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(key && { Authorization: `Bearer ${key}` }) };
  const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status !== status) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text;
}

// cold is the time of the first answer of new processes.
async function cold(shape) {
  const worker = await dev("test/bench.jsonc");
  try {
    const [ms] = await timed(() => ask(`${worker.url}/${shape}/health`, 200));
    return ms;
  } finally {
    worker.stop();
  }
}

// exchange registers somebody who creates a request.
async function exchange(base) {
  const at = `${base}/api/v1/exchanges/home`;
  const { api_key: key } = JSON.parse(await ask(`${at}/register`, 201, "POST", { executor_id: "agent" }));
  const create = () => ask(`${at}/requests`, 201, "POST", { intent: "Is the door closed?" }, key);
  const { ref } = JSON.parse(await create());
  return { create, get: () => ask(`${at}/requests/${ref}`, 200, "GET", undefined, key), health: () => ask(`${base}/health`, 200) };
}

async function warm(worker) {
  const does = {}, took = {};
  for (const shape of shapes) does[shape] = await exchange(`${worker.url}/${shape}`);
  does.bare = { get: () => ask(`${worker.url}/bare/`, 200) };
  does.object.again = async () => {
    await ask(`${worker.url}/object/-stop`, 200);
    return timed(does.object.health);
  };
  const note = (name, ms) => (took[name] ??= []).push(ms);
  for (let i = 0; i < rounds; i++) {
    for (const what of ["get", "create", "health"]) {
      for (const shape of [...shapes, "bare"]) {
        const f = does[shape][what];
        if (f) note(`${shape} ${what}`, (await timed(f))[0]);
      }
    }
  }
  for (let i = 0; i < Math.min(rounds, 20); i++) note("object again", (await does.object.again())[0]);
  return Object.fromEntries(Object.entries(took).map(([name, all]) => [name, median(all)]));
}

build();
const first = Object.fromEntries(shapes.map((shape) => [shape, []]));
for (let i = 0; i < starts; i++) for (const shape of shapes) first[shape].push(await cold(shape));
const worker = await dev("test/bench.jsonc");
let m;
try {
  m = await warm(worker);
} finally {
  worker.stop();
}

const line = (name, ours, theirs) => console.log(
  `${name.padEnd(34)} ${ours.toFixed(1).padStart(9)} ${theirs.toFixed(1).padStart(9)} ${(theirs / ours).toFixed(1).padStart(7)}`);
console.log(`${"medians in ms".padEnd(34)} ${"object".padStart(9)} ${"each".padStart(9)} ${"ratio".padStart(7)}`);
line("first answer of a new process", median(first.object), median(first.each));
line("answer of another program", m["object again"], m["each health"]);
line("GET /health", m["object health"], m["each health"]);
line("GET of a request", m["object get"], m["each get"]);
line("create", m["object create"], m["each create"]);
console.log(`${"a Worker that does nothing".padEnd(34)} ${m["bare get"].toFixed(1).padStart(9)}`);
