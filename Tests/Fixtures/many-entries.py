#!/usr/bin/env python3
"""Measures the memory of taking an archive in: many-entries.py COUNT FOLDER_SIZE COMMAND…
The archive has COUNT empty files in folders of FOLDER_SIZE and goes to the command's standard input. Prints the peak memory of the largest process
that took part, in kB; ends as the command does."""
import resource, subprocess, sys


def member(name, kind):
    """A ustar header (POSIX pax(1), "ustar Interchange Format")."""
    header = bytearray(512)
    header[:len(name)] = name
    header[100:156] = b"0000644\0" + b"0000000\0" * 2 + b"00000000000\0" * 2 + b"        "
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return header


count, size, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
try:
    for folder in range(0, count, size):
        place = b"srv/%d/" % folder
        bytes = bytearray(member(place, b"5"))
        template = member(place + b"a-name-of-usual-length-%07d" % 0, b"0")
        start, plain = len(place) + 23, sum(template) - sum(template[148:156]) + 8 * 32 - 7 * 48
        for number in range(min(size, count - folder)):
            digits = b"%07d" % number
            template[start:start + 7] = digits
            template[148:154] = b"%06o" % (plain + sum(digits))
            bytes += template
            if len(bytes) >= 1 << 20:
                child.stdin.write(bytes)
                bytes.clear()
        child.stdin.write(bytes)
    child.stdin.write(b"\0" * 1024)
    child.stdin.close()
except BrokenPipeError:
    pass
status = child.wait()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
