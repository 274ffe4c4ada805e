# SPDX-License-Identifier: Apache-2.0
"""Programs for Node.js whose output and end must not depend on whether their sandbox stood ready: name → request."""

LOOKS = """
console.log(process.argv, process.execArgv, process.execPath, process.argv0, process.title, process.cwd());
console.log(Object.entries(process.env).sort(), require.main === module, module.paths, Object.keys(require.cache));
console.log(module.parent, module.id, __filename, __dirname, Object.keys(globalThis), this === module.exports);
console.log(process.stdin.constructor.name, process.stdout.constructor.name, process.stdout.isTTY, process.exitCode);
console.log(process.eventNames().sort(), process.listenerCount('exit'), process._getActiveHandles().length);
"""

PROGRAMS = {
    # the language
    "nothing": "",
    "number": "console.log(1 + 1)",
    "classes": "class A { #n = 1; get n() { return this.#n } } console.log(new A(), new A().n)",
    "values": "console.log([1, , 3], new Map([[1, { a: [] }]]), null, undefined, Symbol('s'), 2n ** 70n, /x/g, new Date(0))",
    "syntax_error": "let a = ;",
    "strict": "'use strict'; undeclared = 1",
    "sloppy": "undeclared = 1; console.log(globalThis.undeclared)",
    "unicode": "console.log('ünï \\u{1F600}')",
    # how it ends
    "exit_code": "process.exit(3)",
    "exit_code_set": "process.exitCode = 4",
    "exit_listener": "process.on('exit', (c) => { console.log('bye', c); process.exitCode = 9 }); process.on('beforeExit', () => console.log('before'))",
    "exception": "function f() { throw new TypeError('bad') }\nconsole.log('before'); f()",
    "cause": "throw new Error('a', { cause: new Error('b') })",
    "throws_no_error": "throw { not: 'an error' }",
    "rejection": "Promise.reject(new Error('r'))",
    "rejection_handled": "process.on('unhandledRejection', (e) => console.log('seen', e.message)); Promise.reject(new Error('r'))",
    "uncaught_handled": "process.on('uncaughtException', (e, o) => console.log(e.message, o)); throw new Error('u')",
    "signal": "console.log('x'); process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 5000)",
    "signal_caught": "process.on('SIGUSR2', (n) => { console.log(n); clearTimeout(t) }); process.kill(process.pid, 'SIGUSR2'); const t = setTimeout(() => {}, 5000)",
    "stack": "console.log(new Error('here').stack); console.trace('there')",
    "recursion": "let n = 0; const f = () => { n++; f() }; try { f() } catch (e) { console.log(e.constructor.name, e.message, n > 1000) }",
    # what it was given
    "looks": {"code": LOOKS, "args": ["a", "", "ä b"], "env": {"A": "1", "EMPTY": "", "U": "ü"}},
    "looks_bare": LOOKS,
    "dashes": {"code": "console.log(process.argv)", "args": ["--help", "-e", "--require", "--"]},
    "stdin": {"code": "console.log(JSON.stringify(require('fs').readFileSync(0, 'utf8')))", "stdin": "a\nü\n"},
    "stdin_stream": {"code": "process.stdin.on('data', (d) => console.log(String(d))).on('end', () => console.log('end'))", "stdin": "a\nb"},
    "stdin_none": "process.stdin.on('data', console.log).on('end', () => console.log('end'))",
    "readline": {"code": "require('readline').createInterface({ input: process.stdin }).on('line', (l) => console.log('>', l)).on('close', () => console.log('closed'))", "stdin": "a\nb\n"},
    "variables_for_node": {"code": "console.log(process.env.NODE_OPTIONS, process.throwDeprecation)", "env": {"NODE_OPTIONS": "--throw-deprecation"}},
    "another_home": {"files": {"main.js": "console.log(require('dep'), require('os').homedir())", "h/.node_modules/dep.js": "module.exports = 'dep'"},
                     "entry": "main.js", "env": {"HOME": "/work/h"}},
    "time_zone": {"code": "console.log(new Date(0).getHours(), Intl.DateTimeFormat().resolvedOptions().timeZone)", "env": {"TZ": "Asia/Tokyo"}},
    "colours": {"code": "console.log({ a: 1 }, process.stdout.hasColors?.())", "env": {"FORCE_COLOR": "1"}},
    # files
    "require": {"files": {"main.js": "const { twice } = require('./lib/twice'); console.log(twice(21), require('./data.json').name, require.cache[require.resolve('./lib/twice')].children.length)",
                          "lib/twice.js": "exports.twice = (n) => n * 2", "data.json": '{"name": "json"}'}, "entry": "main.js"},
    "modules": {"files": {"main.mjs": "import { n } from './n.mjs'; import fs from 'node:fs'; console.log(n, import.meta.url, typeof fs.readFileSync, await Promise.resolve(3))",
                          "n.mjs": "export const n = 5"}, "entry": "main.mjs"},
    "modules_by_package": {"files": {"main.js": "import { n } from './n.js'; console.log(n, typeof require)", "n.js": "export const n = 6",
                                     "package.json": '{"type": "module"}'}, "entry": "main.js"},
    "module_that_throws": {"files": {"main.mjs": "console.log('a'); throw new Error('esm')"}, "entry": "main.mjs"},
    "waits_for_ever_in_a_module": {"files": {"main.mjs": "await new Promise(() => {})"}, "entry": "main.mjs"},
    "node_modules": {"files": {"main.js": "console.log(require('dep'), require('dep/sub'))", "node_modules/dep/index.js": "module.exports = 'dep'",
                               "node_modules/dep/sub.js": "module.exports = 'sub'"}, "entry": "main.js"},
    "entry_in_a_folder": {"files": {"a/b.js": "console.log(__filename, process.argv[1], require('./c'))", "a/c.js": "module.exports = 1"}, "entry": "a/b.js"},
    "dynamic_import": "import('node:path').then((p) => console.log(p.join('a', 'b')))",
    "no_module": "require('no-such-module')",
    "writes": "const fs = require('fs'); fs.writeFileSync('x', 'y'); console.log(fs.readdirSync('.').sort(), fs.readFileSync('x', 'utf8'))",
    "mocked_file_system": "const fs = require('fs'); fs.readFileSync = () => 'mine'; console.log(require('node:fs').readFileSync('z'))",
    # processes and threads
    "child": {"code": "const { spawnSync } = require('child_process'); const r = spawnSync(process.execPath, ['-p', 'JSON.stringify([process.argv, process.execArgv, process.env.A])'], { encoding: 'utf8' }); console.log(r.stdout, r.stderr, r.status)", "env": {"A": "1"}},
    "fork": "const { fork } = require('child_process'); if (process.argv[2]) process.send([process.execArgv, process.argv.slice(2)]); else fork(__filename, ['x']).on('message', (m) => console.log(m)).on('exit', (c) => console.log(c))",
    "shell": "console.log(String(require('child_process').execSync('echo $HOME')))",
    "worker": "const { Worker, isMainThread, parentPort, workerData } = require('worker_threads'); if (isMainThread) new Worker(__filename, { workerData: 2 }).on('message', console.log).on('exit', console.log); else parentPort.postMessage([workerData * 2, process.execArgv, process.argv.length, Object.keys(require.cache)])",
    # clock and loop
    "timers": "const t = Date.now(); setTimeout(() => console.log('b', Date.now() - t >= 499), 500); setTimeout(() => console.log('a'), 300); setImmediate(() => console.log('i')); process.nextTick(() => console.log('n')); Promise.resolve().then(() => console.log('p'))",
    "interval": "let n = 0; const i = setInterval(() => { if (++n === 3) { clearInterval(i); console.log(n) } }, 10)",
    "clock": "const { performance: p } = require('perf_hooks'); console.log(p === performance, p.now() > 0, p.now() < 3000, Math.abs(p.timeOrigin + p.now() - Date.now()) < 100, process.uptime() >= 0, process.uptime() < 3, p.toJSON().timeOrigin === p.timeOrigin)",
    "marks": "performance.mark('a'); performance.mark('b', { startTime: 5, detail: 1 }); const m = performance.measure('m', 'a'); const k = performance.measure('k', { start: 1, end: 3 }); console.log(m.duration < 1000, k.duration, performance.measure('b2', 'b').startTime, performance.measure('d', { start: 1, duration: 2 }).duration, performance.getEntriesByName('b')[0].detail, performance.measure('w').duration < 3000)",
    "mark_errors": "for (const f of [() => performance.mark(), () => performance.measure(), () => performance.measure('x', 'none'), () => performance.mark('n', { startTime: -1 })]) try { f(); console.log('no error') } catch (e) { console.log(e.name, e.code) }",
    "hrtime": "const a = process.hrtime.bigint(); console.log(process.hrtime.bigint() >= a, process.hrtime().length)",
    # libraries
    "http": "const http = require('http'); const s = http.createServer((q, r) => r.end('hi')).listen('/tmp/s', () => http.get({ socketPath: '/tmp/s' }, (r) => r.on('data', (d) => console.log(String(d))).on('end', () => s.close())))",
    "streams": "require('stream').Readable.from(['a', 'b']).pipe(process.stdout)",
    "crypto": "console.log(require('crypto').createHash('sha256').update('x').digest('hex'))",
    "vm": "console.log(require('vm').runInNewContext('a + 1', { a: 1 }))",
    "intl": "console.log(new Intl.NumberFormat('de').format(1234.5), (1e6).toLocaleString())",
    "much_output": "process.stdout.write('x'.repeat(300000)); process.exitCode = 1",
    "errors_and_output": "console.error('e'); console.log('o'); console.warn('w'); console.table([{ a: 1 }])",
    "descriptors": "console.log(require('fs').openSync('main.js') > 2, process.stdout.fd, process.stderr.fd)",
    "async_hooks": "const { AsyncLocalStorage } = require('async_hooks'); const s = new AsyncLocalStorage(); s.run(5, () => setTimeout(() => console.log(s.getStore())))",
    "module_wrapper": "console.log(require('module').wrapper, arguments.length, require.extensions ? Object.keys(require.extensions) : 0)",
}
