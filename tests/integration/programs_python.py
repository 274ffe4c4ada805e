# SPDX-License-Identifier: Apache-2.0
"""Programs for Python whose output and end must not depend on whether their sandbox stood ready: name → request."""

import base64
import io
import zipfile


def archive(files):
    """A ZIP file of them, in base64."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return base64.b64encode(made.getvalue()).decode()


PACKAGE = {"main.py": "import pack.inner, data, pack; print(pack.inner.value(), data.name, pack.__path__, data.__file__)",
           "pack/__init__.py": "", "pack/inner.py": "from . import other\ndef value(): return other.n * 2",
           "pack/other.py": "n = 21", "data.py": "name = 'data'"}

# How each looks that a program can ask: a plain run is the measure.
LOOKS = """
import sys, os
print(sys.argv, sys.orig_argv, sys.path, sys._xoptions, sys.warnoptions, sys.flags)
print(sorted(os.environ.items()), os.getcwd(), sys.executable, sys.prefix)
print(sorted(set(globals()) - {'__annotations__'}), __name__, __file__, __spec__, type(__loader__), __package__, __builtins__)
print(sys.meta_path, len(sys.path_hooks), [one for one in sys.path_importer_cache if 'tee' in one])
print([name for name, one in sys.modules.items() if 'tee' in str(getattr(one, '__file__', ''))])
print(sys.modules['__main__'].__dict__ is globals(), sys.stdout.encoding, sys.stdin.encoding, sys.stdout.line_buffering)
"""

PROGRAMS = {
    # the language
    "nothing": "",
    "number": "print(1 + 1)",
    "classes": "class A:\n  def __repr__(self): return f'<A {id(self) == id(self)}>'\nprint(A(), A.__module__, A.__qualname__)",
    "comprehension": "print({n: n ** 2 for n in range(5)}, [*map(str, range(3))])",
    "generator": "def f():\n  yield from (1, 2)\nprint(list(f()))",
    "match": "match {'a': 1}:\n  case {'a': int(n)}: print(n)",
    "syntax_error": "def f(:\n  pass",
    "indentation_error": "if 1:\nprint(1)",
    "encoding_declared": "# -*- coding: latin-1 -*-\nprint('x')",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "doc": "'''What it is.'''\nprint(__doc__)",
    "future": "from __future__ import annotations\ndef f(a: B): ...\nprint(f.__annotations__)",
    "big_number": "print(2 ** 200, int('9' * 50))",
    "unicode": {"code": "print('ünï', '\\U0001F600', len(input()))", "stdin": "\ufeffä\n"},
    # how it ends
    "exit_code": "import sys; sys.exit(3)",
    "exit_text": "import sys; sys.exit('gone')",
    "exit_at_once": "import os; print('lost'); os._exit(4)",
    "exception": "def f(): return 1 / 0\nprint('before')\nf()",
    "exception_chain": "try:\n  1 / 0\nexcept ZeroDivisionError as e:\n  raise ValueError('b') from e",
    "exception_group": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
    "own_excepthook": "import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_next, a[2].tb_lineno)\n1 / 0",
    "atexit": "import atexit\natexit.register(print, 'first'); atexit.register(print, 'second'); print('main')",
    "at_the_very_end": "class A:\n  def __del__(self): print('deleted')\na = A()",
    "signal": "import os, signal; print('x', flush=True); os.kill(os.getpid(), signal.SIGTERM)",
    "signal_caught": "import os, signal\nsignal.signal(signal.SIGUSR1, lambda n, f: print(n))\nos.kill(os.getpid(), signal.SIGUSR1)",
    "signal_dispositions": "import signal; print([(n.name, str(signal.getsignal(n))) for n in sorted(signal.valid_signals()) if hasattr(n, 'name')])",
    "interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "abort": "import os; os.abort()",
    "recursion": "def f(n):\n  return f(n + 1)\ntry: f(0)\nexcept RecursionError as e: print(e)",
    "depth": "import sys\ndef d(n=0):\n  f = sys._getframe(); c = 0\n  while f: c += 1; f = f.f_back\n  return c\nprint(d())",
    "stack": "import traceback, inspect; traceback.print_stack(); print(len(inspect.stack()))",
    "thread_dies": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join(); print('on')",
    "thread_outlives_main": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('late'))).start(); print('main')",
    # what it was given
    "looks": {"code": LOOKS, "args": ["a", "", "ä b"], "env": {"A": "1", "EMPTY": "", "U": "ü"}},
    "looks_bare": LOOKS,
    "dashes": {"code": "import sys; print(sys.argv)", "args": ["--help", "-c", "-X", "tee", "--"]},
    "stdin_lines": {"code": "import sys\nfor line in sys.stdin: print(repr(line))\nprint(sys.stdin.isatty())", "stdin": "a\nb\n\nc"},
    "stdin_bytes": {"code": "import sys; print(sys.stdin.buffer.read(), sys.stdin.tell())", "stdin": "x\u0001y"},
    "stdin_none": "try: input()\nexcept EOFError as e: print(repr(e))",
    "variables_for_python": {"code": "import sys, warnings; print(sys.flags.optimize, sys.warnoptions, __debug__)",
                             "env": {"PYTHONOPTIMIZE": "1", "PYTHONWARNINGS": "error"}},
    "python_path": {"files": {"main.py": "import sys, m; print(m.n, sys.path)", "lib/m.py": "n = 5"}, "entry": "main.py",
                    "env": {"PYTHONPATH": "/work/lib"}},
    "time_zone": {"code": "import time; print(time.localtime(0).tm_hour, time.tzname)", "env": {"TZ": "XXX-5"}},
    "hash_seed": {"code": "print(hash('a'))", "env": {"PYTHONHASHSEED": "0"}},
    # files
    "package": {"files": PACKAGE, "entry": "main.py"},
    "entry_in_a_folder": {"files": {"a/b.py": "import c, sys; print(c.n, sys.path[0], __file__)", "a/c.py": "n = 1"}, "entry": "a/b.py"},
    "same_name_as_a_library": {"files": {"main.py": "import random, json; print(random.mine, json.dumps(1), random.__file__)",
                                         "random.py": "mine = True"}, "entry": "main.py"},
    "same_name_as_a_library_in_a_folder": {"files": {"main.py": "import sys; sys.path.insert(0, 'lib'); import string; print(string.mine)",
                                                     "lib/string.py": "mine = True"}, "entry": "main.py"},
    "archive": {"files": {"main.py": {"base64": archive({"__main__.py": "import string, sys; print(string.mine, sys.path[0])",
                                                         "string.py": "mine = True"})}}, "entry": "main.py"},
    "archive_on_the_path": {"files": {"main.py": "import sys; sys.path.insert(0, 'a.zip'); import string; print(string.mine)",
                                      "a.zip": {"base64": archive({"string.py": "mine = True"})}}, "entry": "main.py"},
    "entry_named_as_a_library": {"files": {"json.py": "import json; print(__name__, json.__file__)"}, "entry": "json.py"},
    "package_of_the_user": {"files": {"main.py": "import sys; print([p for p in sys.path if 'local' in p and 'work' in p])",
                                      ".local/lib/python3.11/site-packages/a.py": "", ".local/lib/python3.13/site-packages/a.py": ""},
                            "entry": "main.py"},
    "customized_by_the_user": {"files": {"main.py": "print('main')", "sitecustomize.py": "print('site')", "usercustomize.py": "print('user')"},
                               "entry": "main.py"},
    "writes": "open('x', 'w').write('y'); import os; print(open('x').read(), sorted(os.listdir()))",
    "no_module": "import no_such_module",
    "entry_that_is_no_text": {"files": {"main.py": {"base64": "AAEC/w=="}}, "entry": "main.py"},
    "descriptors": "import os; print(sorted(os.listdir('/proc/self/fd'), key=int))",
    # processes
    "child": {"code": "import subprocess, sys\nr = subprocess.run([sys.executable, '-c', 'import sys, os; print(sys.argv, sys._xoptions, sys.orig_argv, sys.path, sorted(os.environ))', 'z'], capture_output=True, text=True); print(r)", "env": {"A": "1"}},
    "shell": "import os; print(os.system('echo $HOME $A; exit 3'))",
    "fork": "import os\np = os.fork()\nif not p: print('child', flush=True); os._exit(2)\nprint(os.waitpid(p, 0)[1], 'parent')",
    "multiprocessing": "import multiprocessing as m\ndef f(n): return n * 2\nif __name__ == '__main__':\n  m.set_start_method('spawn')\n  p = m.Process(target=f, args=(1,)); p.start(); p.join(); print(p.exitcode)",
    # libraries
    "asyncio": "import asyncio\nasync def f(n): await asyncio.sleep(n / 100); print(n)\nasync def g(): await asyncio.gather(f(2), f(1))\nasyncio.run(g())",
    "json": "import json; print(json.loads('{\"a\": [1, 2.5, null]}'))",
    "json_error": "import json; json.loads('{')",
    "dataclass": "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass P: x: int = 0\nprint(P(1), P.__module__)",
    "pickle": "import pickle\nclass A: pass\nprint(pickle.dumps(A()) and type(pickle.loads(pickle.dumps(A()))))",
    "logging": "import logging; logging.warning('hot'); print(logging.LogRecord('n', 1, 'p', 1, 'm', (), None).relativeCreated < 2000)",
    "warning": "import warnings; warnings.warn('w')",
    "deprecation": "import re; print(re.compile('\\d') and '\\d')",
    "random_seeded": "import random; random.seed(1); print(random.random(), random.choice('abc'))",
    "datetime": "import datetime; print(datetime.datetime(2026, 1, 2).isoformat(), datetime.timezone.utc)",
    "decimal": "from decimal import Decimal; print(Decimal(1) / 3)",
    "monkey": "import json; json.dumps = lambda x: 'mine'; import json as again; print(again.dumps(1))",
    "argparse": {"code": "import argparse; p = argparse.ArgumentParser(); p.add_argument('n', type=int); p.parse_args()", "args": ["x"]},
    "pathlib": "from pathlib import Path; print(Path.home(), Path('main.py').exists(), Path(__file__).parent)",
    "tempfile": "import tempfile; print(tempfile.gettempdir())",
    "runpy": "import runpy; print(runpy.run_path('main.py', run_name='x')['__name__']) if __name__ == '__main__' else print(__name__)",
    "interactive": "import code; code.interact(banner='b', readfunc=lambda p: (_ for _ in ()).throw(EOFError))",
}
