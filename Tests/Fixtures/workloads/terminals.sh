# Terminals that programs make: script(1), a shell with job control.
cd /tmp
script -qec 'tty; stty size; echo out; exit 4' /dev/null </dev/null | tr -d '\r' | sed 's/pts.*/pts/'
script -qec 'exit 4' /dev/null </dev/null; echo $?
/usr/bin/python3 - <<'E'
import os, pty
pid, fd = pty.fork()
if pid == 0: os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
def until(word):
    seen = b''
    while word not in seen: seen += os.read(fd, 1000)
    return seen
def type(text): os.write(fd, text)
type(b'PS1=; bind "set enable-bracketed-paste off"; stty -echo; echo REA""DY\n'); until(b'READY\r\n')
type(b'perl -e \'$SIG{CONT} = sub { syswrite STDOUT, "CON"."TINUED\n" }; syswrite STDOUT, "IN"."SIDE\n"; sleep 1 while 1\'\n')
until(b'INSIDE\r\n'); type(b'\x1a'); print(b'Stopped' in until(b'Stopped')); type(b'jobs; fg\n'); until(b'CONTINUED\r\n')
type(b'\x03'); type(b'echo st""atus $?\n'); print(b'status 130' in until(b'status 130\r\n'))
type(b'cat\n'); type(b'echoed\n'); until(b'echoed\r\n'); type(b'\x04')
type(b'exit 3\n')
try:
    while os.read(fd, 100): pass
except OSError as e: print(e.errno)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
E
