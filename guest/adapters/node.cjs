// SPDX-License-Identifier: Apache-2.0

// Preloaded into a Node.js that is started before its program is known (node --require). It does once what small programs
// do first, says that it is ready, and stands still, in a read that blocks the only thread. What is read then are the
// program's arguments and environment; its files lie in the work folder by now. Node.js then loads them as the main module
// that it is, so a program sees what it would see in a plain run. docs/PROTOCOL.md has the words of this talk.

"use strict";

const { closeSync, existsSync, openSync, readSync, writeSync } = require("node:fs");
const { inspect } = require("node:util");
const { isMainThread } = require("node:worker_threads");

// Read by Node.js once, at its start or at their first use: with one of these the program needs a start of its own.
const startup = /^(HOME=|NODE_|UV_|OPENSSL_|SSL_CERT_|ICU_|LD_|LC_|LANG|MALLOC_|GLIBC_|NO_COLOR=|FORCE_COLOR=|COLORTERM=|TERM=|TZ)/;

// Threads and children of the program would preload this file, too.
function hide() {
  process.execArgv = process.execArgv.filter((word, i, all) =>
    !word.endsWith(__filename) && !(/^(-r|--require)$/.test(word) && all[i + 1] === __filename)
  );
  delete require.cache[__filename];
}

function warmUp() {
  inspect({ warm: [1, "two"], up: new Map() });
  process.stdout.write("");
}

// Prepared early; the clock begins anew when what is returned is called.
function prepareClock() {
  const { performance } = globalThis, { uptime } = process, prototype = Object.getPrototypeOf(performance);
  const { mark, measure, now, toJSON } = prototype, origin = performance.timeOrigin;
  let offset = 0;
  const current = () => now.call(performance) - offset;
  const methods = {
    now: () => current(),
    mark(...given) {
      if (given.length > 0) given[1] = { startTime: current(), ...given[1] };
      return mark.apply(performance, given);
    },
    measure(...given) { // without an end, it is now
      const [, start, end] = given;
      if (given.length > 0 && end === undefined) {
        if (start === null || typeof start !== "object") given[2] = current();
        else if (start.end === undefined && start.duration === undefined) given[1] = { ...start, end: current() };
      }
      return measure.apply(performance, given);
    },
    toJSON: () => ({ ...toJSON.call(performance), timeOrigin: origin + offset }),
  };
  for (const [name, value] of Object.entries(methods)) Object.defineProperty(prototype, name, { value });
  let before = 0;
  Object.defineProperty(process, "uptime", { value: () => uptime() - before });
  const owner = Object.hasOwn(prototype, "timeOrigin") ? prototype : performance;
  return () => {
    [offset, before] = [now.call(performance), uptime()];
    Object.defineProperty(owner, "timeOrigin", { get: () => origin + offset, configurable: true, enumerable: true });
  };
}

function waitForProgram() {
  const input = openSync("/tmp/.tee-in", "r"), output = openSync("/tmp/.tee-out", "w");
  const take = (size) => {
    const bytes = Buffer.alloc(size);
    for (let have = 0; have < size;) have += readSync(input, bytes, have, size - have, null);
    return bytes;
  };
  const restartClock = prepareClock();
  warmUp();
  writeSync(output, "R");

  const message = take(take(4).readUInt32BE());
  let at = 0;
  const number = () => message.readUInt32BE((at += 4) - 4);
  const text = () => {
    const size = number();
    return message.toString("utf8", at, at += size);
  };
  const texts = () => Array.from({ length: number() }, text);
  const args = texts(), env = texts();
  // Where preloaded modules are, Node.js has looked for the package of the work folder, and remembers that there was none.
  if (existsSync("package.json") || env.some((variable) => startup.test(variable))) {
    writeSync(output, "C");
    take(1); // for ever: the guest ends this process
  }
  closeSync(input);
  closeSync(output);
  for (const variable of env) {
    const equals = variable.indexOf("=");
    process.env[variable.slice(0, equals)] = variable.slice(equals + 1);
  }
  process.argv.push(...args);
  restartClock();
}

hide();
if (isMainThread) waitForProgram();
