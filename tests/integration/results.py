# SPDX-License-Identifier: Apache-2.0
"""How the suites' runners tell of their tests: one line each, and of a failure all that helps. A test that was skipped
has failed.
"""

import pathlib
import sys
import time
import traceback
import unittest

TESTS = str(pathlib.Path(__file__).resolve().parents[1])


class Result(unittest.TestResult):
    """`log_tail` tells for a test what the thing under test has logged."""

    def __init__(self, verbose, log_tail):
        super().__init__()
        self.log_tail = log_tail
        self.verbose = verbose
        self.passed = 0
        self.failed = 0
        self.test_failed = False

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()
        self.test_failed = False

    def stopTest(self, test):
        super().stopTest(test)
        interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        if not self.test_failed and not interrupted:
            self.passed += 1
            self._line("ok", test)
            if self.verbose:
                self._tail(test)

    def addError(self, test, error):
        self._failure(test, error)

    def addFailure(self, test, error):
        self._failure(test, error)

    def addSkip(self, test, reason):
        self._failure(test, (AssertionError, AssertionError(f"skipped: {reason}"), None))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._failure(subtest, error)

    def addUnexpectedSuccess(self, test):
        self._failure(test, (AssertionError, AssertionError("unexpected success"), None))

    def _failure(self, test, error):
        self.failed += 1
        self.test_failed = True
        self._line("FAIL", test)
        print(indented(trace_of(error)))
        self._tail(test)

    def _tail(self, test):
        text = self.log_tail(getattr(test, "test_case", test))
        if text:
            print(indented(text), flush=True)

    def _line(self, verdict, test):
        seconds = time.monotonic() - getattr(self, "begun", time.monotonic())
        print(f"{verdict:4} {name_of(test)} ({seconds:.1f} s)", flush=True)


def name_of(test):
    return test.id().replace("<subtest>", "").strip()


def trace_of(error):
    """The frames of the tests themselves, and what was raised."""
    kind, value, trace = error
    frames = [frame for frame in traceback.extract_tb(trace) if frame.filename.startswith(TESTS)]
    return "".join(traceback.format_list(frames) + traceback.format_exception_only(kind, value))


def indented(text):
    return "".join(f"     {line}\n" for line in text.splitlines())
