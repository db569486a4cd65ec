#!/usr/bin/env python3
"""Holds Python's own test modules in a wall against the same tests natively.

compare.py [--python PATH] [--keep FOLDER] [--list FILE] --native COMMAND --wall COMMAND MODULE...

Each COMMAND is words, split as a shell does, to which the program to run is added. Prints what differs and is not in the list, and
what is in the list and differs no more; ends with 1 where there is either. A line of the list is `TEST | natively | in the wall | cause`.
"""
import argparse
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# A module that says nothing for so long hangs: no test of Python's is silent for longer on a machine that is busy otherwise.
SILENCE = 120
# One that hangs so often is given up: what comes after is not run there.
HANGS = 12


class Place:
    def __init__(self, name, words, python, keep):
        self.name, self.words, self.python, self.keep = name, shlex.split(words), python, keep

    def run(self, module, only=()):
        """Outcomes by test. What hangs or ends its module is that test's outcome, and the rest of the module is run without it."""
        outcomes, hangs = {}, 0
        while True:
            mode = ["only", *(each for each in only if each not in outcomes)] if only else ["skip", *outcomes]
            last, end = self.once(module, mode, outcomes)
            if end is None or last is None or hangs == HANGS:
                break
            outcomes[last] = end
            hangs += 1
            if only and all(each in outcomes for each in only):
                break
        if end is not None and last is None:
            outcomes[f"test.{module} (module)"] = end
        return outcomes

    def once(self, module, mode, outcomes):
        """What was last begun when the module ended before its end, and how it ended; (…, None) where it came to its end."""
        with open(os.path.join(HERE, "inside.py"), encoding="utf-8") as file:
            code = file.read()
        words = self.words + [self.python, "-c", code, module, *mode]
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        log = open(os.path.join(self.keep, f"{module}.{self.name}.log"), "ab") if self.keep else None
        begun, ended, buffer = None, False, b""
        try:
            while not ended:
                if not select.select([process.stdout], [], [], SILENCE)[0]:
                    return begun, "hangs"
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                if log:
                    log.write(piece)
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    if not line.startswith(b"@@ "):
                        continue
                    _, word, name = (line.decode(errors="replace") + " ").split(" ", 2)
                    name = name.strip()
                    if word == "begin":
                        begun = name
                    elif word == "end":
                        ended = True
                    else:
                        outcomes[name] = word
                        begun = None if begun == name else begun
            return begun, None if ended else "ends the program"
        finally:
            # A grace for what a wall clears away after its program.
            try:
                process.wait(20 if ended else 1)
            except subprocess.TimeoutExpired:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            process.stdout.close()
            if log:
                log.close()


def differences(module, native, wall):
    """What differs each of three times: much of Python's tests is about time."""
    seen = [place.run(module) for place in (native, wall)]
    if "ok" not in seen[0].values():
        sys.exit(f"compare.py: test.{module}: not one of its tests passes natively")
    different = {
        name for name in seen[0].keys() | seen[1].keys() if seen[0].get(name) != seen[1].get(name)
    }
    found = {name: [{side.get(name, "not run")} for side in seen] for name in different}
    for _ in range(2):
        again = sorted(different)
        if not again:
            break
        # What a module's or a class's own setting up and clearing away says cannot be had by itself.
        only = () if any("(" in name for name in again) else again
        seen = [place.run(module, only) for place in (native, wall)]
        for name in again:
            for outcomes, side in zip(found[name], seen):
                outcomes.add(side.get(name, "not run"))
            # What the machine was too slow for says nothing.
            if found[name][0] & found[name][1] or "too-slow" in found[name][0] | found[name][1]:
                different.discard(name)
    return {name: tuple(" or ".join(sorted(side)) for side in found[name]) for name in different}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--keep", help="a folder for what the modules say")
    parser.add_argument("--list")
    parser.add_argument("--native", required=True)
    parser.add_argument("--wall", required=True)
    parser.add_argument("modules", nargs="+")
    options = parser.parse_args()
    native = Place("native", options.native, options.python, options.keep)
    wall = Place("wall", options.wall, options.python, options.keep)
    listed = {}
    if options.list:
        with open(options.list, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    name, *rest = (part.strip() for part in line.split("|"))
                    if len(rest) != 3 or not rest[2]:
                        sys.exit(f"compare.py: {options.list}: no cause, or too much: {line.strip()}")
                    listed[name] = tuple(rest[:2])
    wrong = 0
    for module in options.modules:
        start = time.monotonic()
        different = differences(module, native, wall)
        for name in sorted(different):
            if listed.get(name) != different[name]:
                wrong += 1
                print(f"{name} | {different[name][0]} | {different[name][1]} | ", flush=True)
        for name in sorted(listed):
            if re.match(rf"test\.{module}\b", name) or f"(test.{module}" in name:
                if name not in different:
                    wrong += 1
                    print(f"no longer different, to be struck from the list: {name}", flush=True)
        print(f"# {module}: {len(different)} differ, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    sys.exit(1 if wrong else 0)


main()
