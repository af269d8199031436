// The Durable Object in which the server lives, and the one program in it.
import { DurableObject } from "cloudflare:workers";
import { startGo } from "./go.mjs";
import module from "../dist/mess-worker.wasm";

// No program is waited for longer than this to begin.
const startTime = 30_000;
// When the alarm rings again after the program ended, or could not begin.
const alarmAgain = 2_000;

export class Core extends DurableObject {
  #starting = null; // a promise of the program; null where there is none, or none any more

  // program is the running program. One that has ended is replaced by the next who asks.
  program() {
    return this.#starting ??= this.#start().catch((e) => { this.#starting = null; throw e; });
  }

  // started is what program returned last, if that has not ended since; nothing is begun by asking.
  get started() { return this.#starting; }

  async #start() {
    const program = { ended: false, calls: new Set() };
    const ready = new Promise((resolve, reject) => {
      const late = setTimeout(() => program.stop(124), startTime);
      const settle = (f) => (...args) => { clearTimeout(late); f(...args); };
      const exited = startGo(module, {
        env: this.env,
        state: this.ctx,
        ready: settle((request, task) => resolve(Object.assign(program, { request, task }))),
        failed: settle((sentence) => reject(new Error(sentence))),
      });
      exited.code.then((code) => {
        program.ended = true;
        if (this.#current === program) { this.#current = null; this.#starting = null; }
        for (const end of program.calls) end();
        program.calls.clear();
        settle(reject)(new Error(`it ended with code ${code}`));
      });
      program.stop = exited.stop;
    });
    this.#current = program;
    return ready;
  }
  #current = null;

  async fetch(request) {
    let program;
    try {
      program = await this.program();
    } catch (e) {
      console.error(`the program can't begin: ${e.message}`);
      return refusal("unavailable", "The server can't start; try again shortly");
    }
    return answer(program, request);
  }

  // alarm does what is due. An alarm that fails is rung again by Cloudflare a few times only, so it is set anew here: however
  // often the program ends, what is due is not forgotten.
  async alarm() {
    try {
      await this.run("alarm");
    } catch (e) {
      console.error(`what is due could not be done: ${e.message}`);
      await this.ctx.storage.setAlarm(Date.now() + alarmAgain);
    }
  }

  // run has the program do something that nobody asked for.
  async run(name) {
    const program = await this.program();
    await new Promise((resolve, reject) => {
      const end = () => reject(new Error("the program ended"));
      program.calls.add(end);
      program.task(name, () => { program.calls.delete(end); resolve(); });
    });
  }
}

// answer hands a request to the program and returns what it answers.
export function answer(program, request) {
  return new Promise((resolve) => {
    const header = [];
    for (const [name, value] of request.headers) header.push(name, value);
    let writer = null;
    const end = () => {
      // Nobody knows whether it was done.
      resolve(refusal("outcome_unknown", "The server ended before it could answer; look before you try again"));
      writer?.abort("the server ended").catch(() => {});
    };
    const done = () => program.calls.delete(end);
    const sink = {
      respond(status, fields, body) {
        done();
        resolve(new Response(body, { status, headers: headersOf(fields) }));
      },
      begin(status, fields, length) {
        const stream = length < 0 ? new IdentityTransformStream() : new FixedLengthStream(length);
        writer = stream.writable.getWriter();
        writer.closed.catch(() => {}); // whoever writes is told
        resolve(new Response(stream.readable, { status, headers: headersOf(fields) }));
      },
      write(chunk) { return writer.write(chunk); },
      end() { done(); return writer.close().catch(() => {}); },
      abort(reason) {
        done();
        if (writer === null) resolve(refusal("internal", "The answer could not be finished"));
        else writer.abort(reason).catch(() => {});
      },
    };
    program.calls.add(end);
    program.request(request.method, request.url, header, request.body?.getReader() ?? null, sink, request.signal);
  });
}

function headersOf(fields) {
  const headers = new Headers();
  for (let i = 0; i < fields.length; i += 2) headers.append(fields[i], fields[i + 1]);
  return headers;
}

function refusal(code, error) {
  return Response.json({ error, code }, {
    status: code === "internal" ? 500 : 503,
    headers: { "Retry-After": "1", "Access-Control-Allow-Origin": "*", "Cache-Control": "no-store" },
  });
}
