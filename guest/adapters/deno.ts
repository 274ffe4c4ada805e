// SPDX-License-Identifier: Apache-2.0

// Preloaded into a Deno that is started before its program is known (deno run --preload). It compiles a piece of
// TypeScript, so that the program's own finds the compiler warm, says that it is ready, and stands still, in a read that
// blocks the only thread. What is read then are the program's arguments and environment; its files lie in the work
// folder by now. Deno then loads them as the main module that it is, so a program sees what it would see in a plain run.
//
// At the end the event loop is empty, and all listeners of "unload" have had their turn: this is told to the guest, which
// need not wait then until V8 has put its heap in order. docs/PROTOCOL.md has the words of this talk.
{
  const deno = Deno, internals = deno[deno.internal];
  const { close, readSync, writeSync } = Deno.FsFile.prototype; // a program may put others in their place
  const input = Deno.openSync("/tmp/.tee-in"), output = Deno.openSync("/tmp/.tee-out", { write: true });
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const { wait } = Atomics, never = new Int32Array(new SharedArrayBuffer(4));
  const getExitCode = Object.getOwnPropertyDescriptor(deno, "exitCode").get;
  const ended = new Uint8Array([0x45, 0]); // E

  // Read by Deno once, at its start: with one of these the program needs a start of its own.
  const startup = /^(DENO_|NODE_|V8_|OTEL_|RUST_|LD_|LC_|LANG|NO_COLOR=|FORCE_COLOR=|COLORTERM=|TERM=|TZ)/;

  // A command that keeps the environment from its programs keeps it from this script, too.
  function maySet(variable: string) {
    return deno.permissions.querySync({ name: "env", variable: variable.split("=", 1)[0] }).state === "granted";
  }

  // What a small program does first, done once, so that its code is there and compiled. This file is TypeScript for the
  // same reason. No timer is among it: to turn the event loop costs 1.2 MB in each sandbox that stands ready.
  function warmUp() {
    const ignore = () => {};
    Deno.inspect({ warm: [1, "two"], up: new Map() });
    Deno.stdout.writeSync(new Uint8Array(0));
    Deno.addSignalListener("SIGUSR2", ignore);
    Deno.removeSignalListener("SIGUSR2", ignore);
    dispatchEvent(new Event("tee-warm"));
  }

  function say(...bytes: number[]) {
    writeSync.call(output, new Uint8Array(bytes));
  }

  function take(size: number) {
    const bytes = new Uint8Array(size);
    for (let have = 0; have < size;) have += readSync.call(input, bytes.subarray(have));
    return bytes;
  }

  function takeMessage() {
    const bytes = take(new DataView(take(4).buffer).getUint32(0));
    const view = new DataView(bytes.buffer);
    let at = 0;
    const number = () => (at += 4, view.getUint32(at - 4));
    const text = () => {
      const size = number();
      return (at += size, decoder.decode(bytes.subarray(at - size, at)));
    };
    const texts = () => Array.from({ length: number() }, text);
    return { args: texts(), env: texts() };
  }

  // Prepared early; the clock begins anew when what is returned is called.
  function prepareClock() {
    const { prototype } = Performance;
    const { now, mark, measure, toJSON } = prototype;
    const origin = Object.getOwnPropertyDescriptor(prototype, "timeOrigin").get;
    let offset = 0;
    const methods = {
      now() {
        return now.call(this) - offset;
      },
      get timeOrigin() {
        return origin.call(this) + offset;
      },
      mark(name, options = {}) {
        return mark.call(this, name, { startTime: now.call(this) - offset, ...options });
      },
      measure(name, start, end) { // without an end, it is now
        const isNow = end === undefined;
        if (start === null || typeof start !== "object" || Object.keys(start).length === 0) {
          const from = start === undefined || typeof start === "object" ? 0 : String(start);
          return measure.call(this, name, { start: from, end: isNow ? now.call(this) - offset : String(end) });
        }
        if (!isNow || start.start === undefined || start.end !== undefined || start.duration !== undefined) {
          return measure.call(this, name, start, end);
        }
        return measure.call(this, name, { ...start, end: now.call(this) - offset });
      },
      toJSON() {
        return { ...toJSON.call(this), timeOrigin: origin.call(this) + offset };
      },
    };
    for (const [key, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(methods))) {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, key);
      Object.defineProperty(prototype, key, get ? { ...descriptor, get } : { ...descriptor, value });
    }
    return () => offset = now.call(performance);
  }

  // Called for by Deno behind all listeners of "unload". Where there are listeners of "exit", they stay alone with it, so
  // that no frame of this file stands in their stack traces, and the guest waits for the process itself.
  function tellTheEnd() {
    let dispatch; // Node's part sets it when it is first used
    const tell = () => {
      dispatch?.call(internals);
      try { // a program may have taken away what this stands on: then the guest waits for the process itself
        ended[1] = getExitCode.call(deno);
        writeSync.call(output, ended);
        wait(never, 0, 0, 1000); // the guest ends this process, and what is left to do here would only delay it
      } catch { /* as said */ }
    };
    Object.defineProperty(internals, "dispatchProcessExitEvent", {
      configurable: true,
      enumerable: false,
      set: (value) => dispatch = value,
      get: () => dispatch && globalThis.process?.listenerCount?.("exit") !== 0 ? dispatch : tell,
    });
  }

  const restartClock = prepareClock();
  tellTheEnd();
  warmUp();

  say(0x52); // R
  const { args, env } = takeMessage();
  if (env.some((variable) => startup.test(variable) || !maySet(variable))) {
    say(0x43); // C
    take(1); // for ever: the guest ends this process
  }
  for (const variable of env) {
    const at = variable.indexOf("=");
    Deno.env.set(variable.slice(0, at), variable.slice(at + 1));
  }
  Deno.args.push(...args);
  close.call(input);
  restartClock();
}
