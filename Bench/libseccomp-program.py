#!/usr/bin/python3
"""What libseccomp makes of a profile: reads one from stdin, writes the BPF program to stdout.

usage: libseccomp-program.py NAMES|LINEAR|TREE
stdin: `default ACTION`, then `arch NAME` and `rule ACTION CALL [INDEX OPERATOR VALUE VALUETWO]...` lines, ACTION being a
seccomp return value in decimal. NAMES prints the calls of the rules that this libseccomp does not know, instead.
"""
import sys
import seccomp


def action(value):
    value = int(value)
    kinds = {0x80000000: seccomp.KILL_PROCESS, 0: seccomp.KILL, 0x00030000: seccomp.TRAP, 0x7FC00000: seccomp.NOTIFY,
             0x7FFC0000: seccomp.LOG, 0x7FFF0000: seccomp.ALLOW}
    data = value & 0xFFFF
    if value & 0xFFFF0000 == 0x00050000:
        return seccomp.ERRNO(data)
    if value & 0xFFFF0000 == 0x7FF00000:
        return seccomp.TRACE(data)
    return kinds[value & 0xFFFF0000]


OPERATORS = {"SCMP_CMP_NE": seccomp.NE, "SCMP_CMP_LT": seccomp.LT, "SCMP_CMP_LE": seccomp.LE, "SCMP_CMP_EQ": seccomp.EQ,
             "SCMP_CMP_GE": seccomp.GE, "SCMP_CMP_GT": seccomp.GT, "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ}


def known(call):
    return seccomp.resolve_syscall(seccomp.Arch(), call) != -1


def main():
    lines = [line.split() for line in sys.stdin.read().splitlines()]
    if sys.argv[1] == "NAMES":
        print("\n".join(sorted({line[2] for line in lines if line[0] == "rule" and not known(line[2])})))
        return
    profile = None
    for line in lines:
        if line[0] == "default":
            profile = seccomp.SyscallFilter(action(line[1]))
            profile.set_attr(seccomp.Attr.CTL_OPTIMIZE, 2 if sys.argv[1] == "TREE" else 1)
        elif line[0] == "arch":
            profile.add_arch(getattr(seccomp.Arch, line[1]))
        else:
            tests = [seccomp.Arg(int(line[at]), OPERATORS[line[at + 1]], *map(int, line[at + 2:at + 4]))
                     if line[at + 1] == "SCMP_CMP_MASKED_EQ"
                     else seccomp.Arg(int(line[at]), OPERATORS[line[at + 1]], int(line[at + 2]))
                     for at in range(3, len(line), 4)]
            profile.add_rule(action(line[1]), line[2], *tests)
    profile.export_bpf(sys.stdout.buffer)


main()
