"""Interleaved rounds by Bench/spawner.c, their ratios, and the goals that were missed."""
import json
import statistics
import subprocess
import sys

missed = []


def fail(message):
    sys.exit(f"ERROR: {message}")


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode:
        fail(f"{' '.join(command[:6])} ended with {result.returncode}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def goal(name, value, limit, unit="", note="", least=False):
    met = value >= limit if least else value <= limit
    if not met:
        missed.append(name)
    print(f"  {'met   ' if met else 'MISSED'} {name}: {value:.2f}{unit} (goal {'at least ' if least else ''}{limit:g}{unit}){note}")


def rows(spawner, commands, rounds, cwd=None):
    """Each command's samples. A command may be a chain: a list of commands of one turn, its separators as the spawner has them."""
    arguments = [spawner, str(rounds)]
    for command in commands:
        arguments += ["++", *command]
    lines = [json.loads(line) for line in run(arguments, cwd=cwd).splitlines()]
    own = lines.pop()["spawner_maxrss_kb"]
    if not 0 < own < 1536:
        fail(f"the spawner has {own} kB itself, too large to measure others")
    for line in lines:
        if line["failures"]:
            fail(f"{line['failures']} of {line['count']} runs of {line['program']} failed")
    return lines


def table(names, rows):
    print(f"  {'':26}{'minimum':>9}{'p25':>9}{'median':>9}{'cpu':>9}  ms   peak RSS")
    for name, row in zip(names, rows):
        wall = sorted(row["wall_us"])
        print(f"  {name:26}{wall[0] / 1e3:9.2f}{wall[len(wall) // 4] / 1e3:9.2f}{wall[len(wall) // 2] / 1e3:9.2f}"
              f"{statistics.median(row['cpu_us']) / 1e3:9.2f}       {row['maxrss_kb']} kB")


def ratios(row, other):
    """Of minima, and the median of the rounds' own ratios."""
    return (min(row["wall_us"]) / min(other["wall_us"]),
            statistics.median(a / b for a, b in zip(row["wall_us"], other["wall_us"])))
