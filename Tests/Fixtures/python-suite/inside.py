"""Runs one of Python's own test modules and tells of each test by itself: inside.py MODULE [skip TEST...] [only TEST...]

Lines that begin with "@@ " are for compare.py: "@@ begin TEST", "@@ OUTCOME TEST", "@@ end".
"""
import os
import sys
import traceback
import unittest

# The tests close, replace and fill the standard outputs; this one they do not know.
told = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def tell(word, test=""):
    told.write(f"\n@@ {word} {test}\n")


class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.outcome = None
        tell("begin", test.id())

    def say(self, test, outcome, text=""):
        # A test whose parts failed has failed; what comes first stands.
        if self.outcome is None or not isinstance(test, unittest.TestCase):
            self.outcome = outcome
            tell(outcome, test.id())
        if text:
            told.write("".join("    " + line for line in text.splitlines(True)))

    def addSuccess(self, test):
        self.say(test, "ok")

    def addError(self, test, error):
        self.say(test, "error", "".join(traceback.format_exception(*error)))

    def addFailure(self, test, error):
        self.say(test, "failure", "".join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        # Some tests of timers say so of themselves.
        self.say(test, "too-slow" if "load too high" in reason else "skipped", f"{reason}\n")

    def addExpectedFailure(self, test, error):
        self.say(test, "expected-failure")

    def addUnexpectedSuccess(self, test):
        self.say(test, "unexpected-success")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            text = f"{subtest}\n" + "".join(traceback.format_exception(*error))
            self.say(test, "failure" if issubclass(error[0], test.failureException) else "error", text)


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def chosen(suite, wanted):
    """The same tree of suites, so that classes and modules are set up as they are meant to."""
    return type(suite)(
        chosen(each, wanted) if isinstance(each, unittest.TestSuite) else each
        for each in suite
        if isinstance(each, unittest.TestSuite) or wanted(each.id())
    )


def main(module, mode="all", *names):
    import socket
    from test import support

    # Whether they do anything depends on what this machine itself runs in.
    if hasattr(socket, "IOCTL_VM_SOCKETS_GET_LOCAL_CID"):
        del socket.IOCTL_VM_SOCKETS_GET_LOCAL_CID

    # What regrtest allows without -u is less; what is left out here wants the Internet, a sound card, a screen or gigabytes.
    support.use_resources = ["cpu", "subprocess", "walltime", "curses", "decimal"]
    # Theirs is the loopback's.
    if module in ("test_socketserver", "test_timeout", "test_asyncore"):
        support.use_resources.append("network")
    names = set(names)
    suite = unittest.defaultTestLoader.loadTestsFromName("test." + module)
    if mode == "skip":
        suite = chosen(suite, lambda name: name not in names)
    elif mode == "only":
        suite = chosen(suite, lambda name: name in names)
    suite.run(Result())
    support.reap_children()
    tell("end")
    told.flush()


main(*sys.argv[1:])
