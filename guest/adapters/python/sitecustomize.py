# SPDX-License-Identifier: Apache-2.0

# Python imports a module of this name at the end of its own start, before it looks for its program. The image's
# PYTHONPATH leads to this one. It takes itself out of sight, and unless the option -X tee is there, that is all. With it
# Python is started before its program is known: what most programs import is imported, Python says that it is ready, and
# stands still in a read. What is read then are the program's arguments and environment; its files lie in the work folder
# by now. Python then runs them as the main module that it is, so a program sees what it would see in a plain run.
#
# docs/PROTOCOL.md has the words of this talk.

import os
import sys


def hide():
    """PYTHONPATH becomes what it was in the image before this folder was put in front."""
    own = os.path.dirname(__file__)
    before = os.environ.pop("PYTHONPATH", "").partition(os.pathsep)[2]
    if before:
        os.environ["PYTHONPATH"] = before
    sys.path.remove(own)
    sys.path_importer_cache.pop(own, None)


def warm_up():
    """Imports what small programs use, and does once what each of them does. None of these modules reads the time or
    the environment when it is imported. Returns their names."""
    before = set(sys.modules)
    import argparse, base64, collections, csv, dataclasses, datetime, enum, functools, io, itertools, json  # noqa
    import math, operator, pathlib, random, re, statistics, string, textwrap, time, traceback, typing  # noqa
    json.loads(json.dumps({"warm": [1, None]}))
    compile("def f(*, a: int = 1) -> str: return f'{a}'", "", "exec")
    return {name.partition(".")[0] for name in set(sys.modules) - before}


def brings(names):
    """Could the program mean a file of its own by one of these names? In whichever folder, since it may put that on
    sys.path. Nor can it be told what is in an archive, which may be its main file, whatever that is called."""
    with open(sys.argv[0], "rb") as file:
        file.seek(-min(os.fstat(file.fileno()).st_size, 65557), os.SEEK_END)
        if b"PK\5\6" in file.read():
            return True
    for _, folders, files in os.walk("."):
        for name in folders + files:
            if name.partition(".")[0] in names or name.endswith((".zip", ".whl", ".egg", ".pyz")):
                return True
    return False


def wait_for_program():
    # Read by Python once, at its start: with one of these the program needs a start of its own.
    startup = (b"PYTHON", b"HOME=", b"LC_", b"LANG", b"TZ", b"LD_", b"MALLOC_", b"GLIBC_")
    source, words = os.open("/tmp/.tee-in", os.O_RDONLY), os.open("/tmp/.tee-out", os.O_WRONLY)

    def take(size):
        data = b""
        while len(data) < size:
            data += os.read(source, size - len(data))
        return data

    def take_texts(message):
        size = lambda: int.from_bytes(message.read(4), "big")
        return [message.read(size()) for _ in range(size())]

    imported = warm_up()
    os.write(words, b"R")
    import io
    message = io.BytesIO(take(int.from_bytes(take(4), "big")))
    arguments, variables = take_texts(message), take_texts(message)

    # A program may bring modules under the names of those that are here, and packages where Python has looked already.
    packages = sys.modules["site"].getusersitepackages()
    if brings(imported) or os.path.exists(packages) or any(one.startswith(startup) for one in variables):
        os.write(words, b"C")
        take(1)  # for ever: the guest ends this process
    # The image's PYTHONPATH may lead to folders that were not there yet, and Python remembers that.
    for path in [path for path, finder in sys.path_importer_cache.items() if finder is None]:
        del sys.path_importer_cache[path]
    os.close(source)
    os.close(words)
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    arguments = [os.fsdecode(argument) for argument in arguments]
    sys.argv += arguments
    if hasattr(sys, "orig_argv"):
        sys.orig_argv += arguments


hide()
if sys._xoptions.pop("tee", None):
    if hasattr(sys, "orig_argv"):  # since Python 3.10
        option = ["-X", "tee"]
        at = next(i for i in range(len(sys.orig_argv)) if sys.orig_argv[i:i + 2] == option)
        del sys.orig_argv[at:at + 2]
    wait_for_program()

# The image may have one of its own, and where it has none, Python expects just this error.
del sys.modules[__name__]
import sitecustomize  # noqa: E402,F401
