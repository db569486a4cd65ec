#!/usr/bin/env python3
"""Types at a terminal as a person would: terminal.py COMMAND… runs COMMAND, which should be a shell behind a wall, on a pseudo terminal of
its own, and checks job control, sizes and keys there. Prints "done" where all was as it should be, else what was waited for and what was
seen. Standard library only."""
import fcntl, os, pty, re, select, struct, sys, termios, time


def size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


child, master = pty.fork()
if child == 0:
    # Before the command can ask for it.
    size(0, 31, 97)
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""


def wait(pattern, key=b""):
    """What matches, and forgets what came before its end. A key is typed again and again until then."""
    global seen
    end = time.monotonic() + 120
    while not (found := re.search(pattern, seen, re.S)):
        type(key)
        left = end - time.monotonic()
        ready = select.select([master], [], [], max(0, min(left, 0.1) if key else left))[0]
        if key and not ready and left > 0:
            continue
        try:
            more = os.read(master, 65536) if ready else b""
        except OSError:  # EIO: nobody has the other side open any more
            more = b""
        if not more:
            print(f"waited for {pattern}, saw {seen}")
            os.kill(child, 9)
            sys.exit(1)
        seen += more
    seen = seen[found.end():]
    return found


def type(text):
    if text:
        os.write(master, text)


# No prompt of its own may look like an answer.
type(b"PS1='>'; stty -echo; echo rea''dy\n")
wait(rb"ready")
type(b"tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; ps -o tty= -p $$ | wc -l\n")
wait(rb"/dev/(pts/\d+|console)\r\n31 97\r\nall\r\n1\r\n")
type(b"trap 'stty size' WINCH; echo set\n")
# Just before it prompts readline sets the size that it has read (rltty.c, set_winsize): one that changes in between is lost at any
# terminal, so the prompt is waited for, and nothing is typed that brings a new one.
wait(rb"set\r\n.*>")
size(master, 20, 50)
# A shell that was not waiting yet runs its trap at the next key only, and through a relay a key may come before the size.
wait(rb"20 50\r\n", key=b" ")
type(b"trap - WINCH\n")
# Stopped by a key, seen by the shell, taken up again, and ended by a key.
type(b"cat; echo after $?\n")
type(b"line\n")
wait(rb"line\r\n")
type(b"\x1a")
wait(rb"Stopped")
type(b"jobs | grep -c Stopped; fg\n")
wait(rb"1\r\n.*cat")
type(b"again\n")
wait(rb"again\r\n")
type(b"\x03")
wait(rb">")
type(b"echo status $?\n")
wait(rb"status 130\r\n")
# The end of input ends what reads, and in the background nobody reads.
# The end is typed at once where a reader has just got its line and comes for more.
for _ in range(10):
    type(b"cat\n")
    type(b"word\n")
    wait(rb"word\r\n")
    type(b"\x04")
    wait(rb">")
type(b"echo $?; cat & until grep -q '^State:.T' /proc/$!/status; do :; done; kill %1; wait %1; echo ended $?\n")
wait(rb"0\r\n.*ended 1(43|49)\r\n")
# Bytes as they are where the line discipline is off.
type(b"stty raw; echo now; head -c 5 | od -An -tx1; stty -raw; echo back\n")
wait(rb"now")
type(b"a\x03\x1a\x04\r")
wait(rb" 61 03 1a 04 0d.*back\r\n")
type(b"exit 7\n")
while True:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        break
    if select.select([master], [], [], 120)[0]:
        try:
            seen += os.read(master, 65536)
        except OSError:
            _, status = os.waitpid(child, 0)
            break
print("done" if os.waitstatus_to_exitcode(status) == 7 else f"ended with {status}, saw {seen}")
