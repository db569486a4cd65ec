/// Something hostile that a program in a box tries. It prints "ESCAPED" with what it got, and "done" when it has tried.
struct Probe: Sendable {
  let name: String
  /// Perl, which every Debian root has: read from standard input, so that it stands in no argument. @ARGV holds the canary's process
  /// id, the port it listens at, the name of its abstract socket and a file's path on the host.
  let perl: String
  var options = ""
  /// Walls and callers that say themselves that they do not hold it, as "wall" or "wall caller".
  var notHeld: [String] = []
  /// Whether the same program outside a box does escape: the proof that the probe can tell.
  var hasControl = false
}

extension Probe {
  static let all: [Probe] = outside + kernel + own

  private static let prelude = """
    use Socket; use Fcntl; $| = 1; my ($pid, $port, $name, $file) = @ARGV;
    sub escaped { print "ESCAPED ", join(" ", @_), "\\n" }
    sub spill { my ($path) = @_; open my $h, "<", $path or return ""; local $/; my $all = <$h>; defined $all ? $all : "" }
    # Writes back what is there: where it is let through nothing has changed.
    sub rewrite { my ($path) = @_; my $was = spill($path); open my $h, ">", $path or return 0; my $n = syswrite $h, $was || "\\n"; close $h; $n }

    """
  var program: String { Self.prelude + perl + "\nprint \"done\\n\";\n" }

  static let outside: [Probe] = [
    Probe(
      name: "see a process", perl: "escaped(spill(\"/proc/$pid/cmdline\")) if length spill(\"/proc/$pid/cmdline\");",
      hasControl: true),
    Probe(
      name: "read a process's environment", perl: "escaped() if length spill(\"/proc/$pid/environ\");", hasControl: true
    ),
    Probe(name: "signal a process", perl: "escaped() if kill 0, $pid; escaped() if kill 0, -$pid; kill 9, $pid;"),
    Probe(name: "signal everybody", perl: "if (fork == 0) { kill 9, -1; exit } wait;"),
    Probe(
      name: "trace a process",
      perl: """
        # PTRACE_ATTACH, PTRACE_SEIZE, process_vm_readv, pidfd_getfd
        escaped("attach") if syscall(101, 16, $pid, 0, 0) == 0; escaped("seize") if syscall(101, 0x4206, $pid, 0, 0) == 0;
        my $fd = syscall(434, $pid, 0); escaped("getfd") if $fd > 0 && syscall(438, $fd, 0, 0) >= 0;
        escaped("mem") if sysopen my $h, "/proc/$pid/mem", O_RDWR;
        """),
    Probe(
      name: "change a process's limits and priority",
      perl:
        "escaped('prlimit') if syscall(302, $pid, 7, 0, my $old = 'x' x 16) == 0; escaped('nice') if setpriority 0, $pid, 19;",
      // The same user outside: his other processes can be made slower, not ended.
      notHeld: ["jail user"]
    ),
    Probe(
      name: "abstract socket",
      perl: "socket my $s, AF_UNIX, SOCK_STREAM, 0 or die; escaped() if connect $s, pack_sockaddr_un(\"\\0$name\");",
      hasControl: true),
    Probe(
      name: "the host's loopback",
      perl: """
        for my $address ("127.0.0.1", "0.0.0.0") {
          socket my $s, AF_INET, SOCK_STREAM, 0 or next;
          escaped($address) if connect $s, pack_sockaddr_in($port, inet_aton($address));
        }
        """, hasControl: true),
    Probe(
      name: "a datagram to anywhere",
      perl:
        "if (socket my $s, AF_INET, SOCK_DGRAM, 0) { escaped() if defined send $s, 'x', 0, pack_sockaddr_in(53, inet_aton('192.0.2.1')) }"
    ),
    Probe(
      name: "a socket file of the host",
      perl: "socket my $s, AF_UNIX, SOCK_STREAM, 0 or die; escaped() if connect $s, pack_sockaddr_un($file . '.sock');",
      notHeld: ["jail user"], hasControl: true),
    Probe(
      name: "out of the current folder",
      perl: """
        for my $way ("/proc/self/cwd/../../../../../..", "/proc/self/root", "/proc/1/root", "/proc/1/cwd", "../../../../../..") {
          escaped($way) if length spill("$way$file");
        }
        """, hasControl: true),
    Probe(
      name: "out of a root within the root",
      perl: """
        mkdir "/tmp/x"; opendir my $d, "/"; if (chroot "/tmp/x") { syscall(81, fileno $d); chdir ".." for 1..64; chroot "." }
        escaped() if length spill($file);
        """),
  ]

  static let kernel: [Probe] = [
    Probe(
      name: "mount and unmount",
      perl: """
        my ($t, $p, $d, $root) = ("tmpfs", "proc", "/tmp", "/");
        escaped("mount") if syscall(165, $t, $d, $t, 0, 0) == 0; escaped("remount") if syscall(165, $t, $root, $t, 0x1020, 0) == 0;
        escaped("umount") if syscall(166, my $proc = "/proc", 2) == 0; escaped("pivot_root") if syscall(155, my $a = "/tmp", my $b = "/tmp") == 0;
        escaped("fsopen") if syscall(430, $t, 0) >= 0; escaped("open_tree") if syscall(428, -100, $root, 1) >= 0;
        """),
    Probe(
      name: "namespaces",
      perl: """
        for my $flag (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000, 0x80) {
          if (fork == 0) { escaped(sprintf "unshare %x", $flag) if syscall(272, $flag) == 0; exit } wait;
        }
        for my $kind (glob "/proc/1/ns/*") { if (open my $n, "<", $kind) { escaped("setns $kind") if syscall(308, fileno $n, 0) == 0 } }
        """),
    Probe(
      name: "system calls of the host's root",
      perl: """
        # Each would fail with something other than EPERM, EACCES or ENOSYS if it were let through to its arguments.
        my %calls = (init_module => [175, 0, 0, 0], finit_module => [313, -1, 0, 0], delete_module => [176, 0, 0], kexec_load => [246, 0, 0, 0, 0],
          kexec_file_load => [320, -1, -1, 0, 0, 0], reboot => [169, 0, 0, 0, 0], bpf => [321, 99, 0, 0], swapon => [167, 0, 0],
          acct => [163, 1], iopl => [172, 3], ioperm => [173, 0, 1, 1], settimeofday => [164, 1, 0], clock_settime => [227, 0, 0],
          syslog => [103, 3, 1, 1], quotactl => [179, 0, 0, 0, 0], open_by_handle_at => [304, -100, 0, 0],
          perf_event_open => [298, 0, 0, -1, -1, 0], add_key => [248, 0, 0, 0, 0, -3], request_key => [249, 0, 0, 0, 0],
          keyctl => [250, 0, -3, 0], userfaultfd => [323, 0], vhangup => [153], fanotify_init => [300, 0, 0], io_uring_setup => [425, 1, 0],
          lookup_dcookie => [212, 0, 0, 0], move_pages => [279, $pid, 0, 0, 0, 0, 0], setdomainname => [171, 0, 0]);
        for my $call (sort keys %calls) {
          my ($number, @arguments) = @{$calls{$call}};
          my $result = syscall($number, map { $_ + 0 } @arguments);
          escaped($call, $! + 0) unless $result == -1 && ($! == 1 || $! == 13 || $! == 38);
        }
        """),
    Probe(
      name: "the kernel's switches",
      perl: """
        for my $path ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/panic", "/proc/sys/vm/overcommit_memory",
          "/proc/sys/fs/file-max", "/proc/sys/kernel/randomize_va_space", "/proc/sys/user/max_user_namespaces", "/proc/sys/fs/protected_symlinks",
          "/proc/sys/kernel/yama/ptrace_scope", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled",
          "/proc/sys/vm/drop_caches", "/proc/irq/default_smp_affinity") {
          escaped($path) if rewrite($path);
        }
        if (open my $h, ">", "/proc/sysrq-trigger") { escaped("sysrq") if syswrite $h, "h" }
        for my $path ("/proc/kcore", "/dev/mem", "/dev/kmsg", "/dev/port", "/sys/firmware/efi/efivars", "/proc/kmsg", "/proc/sched_debug") {
          if (open my $h, "<", $path) { escaped($path) if sysread $h, my $x, 1 }
        }
        """),
    Probe(
      name: "control groups",
      perl: """
        my ($c, $d) = ("cgroup", "cgroup2");
        escaped("mount") if syscall(165, $c, my $t = "/tmp", $c, 0, my $o = "memory") == 0 || syscall(165, $d, $t, $d, 0, 0) == 0;
        for my $path (glob("/sys/fs/cgroup/*"), glob("/sys/fs/cgroup/*/*"), glob("/sys/fs/cgroup/*/*/*")) {
          next if -d $path; escaped($path) if $path =~ /release_agent|tasks|procs|limit|max|freezer/ && open my $h, ">>", $path;
        }
        for my $folder ("/sys/fs/cgroup", glob "/sys/fs/cgroup/*") { if (mkdir "$folder/immure-probe") { escaped("mkdir $folder"); rmdir "$folder/immure-probe" } }
        """),
    Probe(
      name: "a raw disk",
      perl: """
        for my $device ([8, 0], [259, 0], [254, 0], [253, 0], [7, 0], [1, 1]) {
          my $kind = $device->[0] == 1 ? 0020000 : 0060000; my $path = "/tmp/disk$device->[0]";
          next if syscall(133, $path, $kind | 0600, $device->[0] * 256 + $device->[1]) != 0;
          if (open my $h, "<", $path) { escaped("@$device") if sysread $h, my $x, 512 }
        }
        for my $path (glob("/dev/sd*"), glob("/dev/vd*"), glob("/dev/nvme*"), glob("/dev/loop*"), "/dev/fuse", "/dev/kvm", "/dev/net/tun") {
          escaped($path) if sysopen my $h, $path, O_RDWR;
        }
        """),
    Probe(
      name: "the machine's name and clock",
      perl: """
        escaped("clock") if syscall(305, 0, 0) == 0 && $! == 0; my $t = pack "qq", 0, 0; escaped("settime") if syscall(227, 0, $t) == 0;
        """),
  ]

  static let own: [Probe] = [
    Probe(
      name: "what was left open",
      perl:
        "for my $fd (3..1023) { escaped($fd) if open my $h, '<&=', $fd } for my $fd (glob '/proc/1/fd/*') { escaped($fd) if open my $h, '<', $fd }"
    ),
    Probe(
      name: "the first process",
      perl: """
        escaped("mem") if open my $m, "<", "/proc/1/mem" and sysread $m, my $x, 1; escaped("attach") if syscall(101, 16, 1, 0, 0) == 0;
        escaped("exe") if open my $e, ">>", "/proc/1/exe"; escaped("own exe") if open my $o, ">>", "/proc/self/exe";
        escaped("environment") if length spill("/proc/1/environ"); escaped("maps") if length spill("/proc/1/maps");
        my $words = spill("/proc/1/cmdline"); escaped("arguments", $words) if length $words && $words ne "init\\0";
        """),
    Probe(
      // prctl(PR_GET_SECCOMP). The sentry's guests are told of filters of their own alone, as by a kernel; theirs is held by StubFilterTests.
      name: "a filter of system calls", perl: "escaped() unless syscall(157, 21, 0, 0, 0, 0) == 2;",
      notHeld: ["sentry root", "sentry user"]),
    Probe(
      name: "powers",
      perl: """
        # prctl(PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ) and capget: procfs may be out of reach.
        escaped("new privileges") unless syscall(157, 39, 0, 0, 0, 0) == 1;
        my ($header, $data) = (pack("LL", 0x20080522, 0), "\\0" x 24); syscall(125, $header, $data) == 0 or escaped("capget");
        my @sets = unpack "L6", $data; my $permitted = $sets[1] | $sets[4] << 32;
        escaped("inheritable") if $sets[2] || $sets[5]; escaped("ambient") if syscall(157, 47, 1, 0, 0, 0) == 1;
        # module, rawio, ptrace, admin, boot, time, resource, syslog, mac, perfmon, bpf, restore, dac_read_search, net_admin
        for my $bit (16, 17, 19, 21, 22, 24, 25, 32, 33, 34, 35, 37, 38, 39, 40, 2, 12) {
          escaped("permitted $bit") if $permitted >> $bit & 1;
          # What is only in the bounding set is out of reach of one who has nothing and gains nothing.
          escaped("bounding $bit") if $permitted && syscall(157, 23, $bit, 0, 0, 0) == 1;
        }
        escaped("oom") if open my $h, ">", "/proc/self/oom_score_adj" and syswrite $h, "-1000"; escaped("nice") if setpriority 0, 0, -20;
        """),
    Probe(
      name: "immure's arguments, folders and environment",
      perl: """
        # The file lies in the state root, whose name is in immure's arguments and nowhere in the box.
        my ($root) = $file =~ m{^(/tmp/[^/]+)};
        for my $path ("/proc/1/cmdline", "/proc/1/environ", "/proc/self/environ", "/proc/1/stat", "/proc/self/cgroup") {
          escaped($path) if index(spill($path), $root) >= 0;
        }
        escaped("SECRET") if exists $ENV{SECRET}; for my $key (keys %ENV) { escaped($key) unless $key =~ /^(PATH|HOME|LANG|TERM|TMPDIR)$/ }
        """),
    Probe(
      name: "set-user-id programs",
      perl: """
        if (open my $h, ">", my $path = "$ENV{HOME}/copy") {
          print $h spill("/usr/bin/id"); close $h; chmod 06755, $path; my $id = `$path -u 2> /dev/null`;
          escaped($id) if $? == 0 && $id != $>;
        }
        """),
  ]
}
