/// The calls that `DefaultProfile` treats alike. Names that an architecture lacks mean nothing there.
enum CallGroup: CaseIterable {
  /// No kernel up to 6.18 has the number.
  case unknown
  /// Known, in no other group.
  case refused
  /// Known, but better not there than refused: what falls back does so on ENOSYS.
  case absent
  case allowed
  /// Allowed, and among `SyscallTable.commonest`.
  case commonest
  case tracing, clone, clone3, personality, socket, socketcall, ioctl
  case needsSysAdmin, needsBPF, needsPerfmon, needsSyslog, needsDacReadSearch, needsSysBoot, needsSysChroot
  case needsSysModule, needsSysPacct, needsSysPtrace, needsSysRawio, needsSysTime, needsSysTtyConfig, needsSysNice

  /// Its letter in the tables of `DefaultProfile+Groups.swift`.
  var letter: Character { Character(Unicode.Scalar(byte)) }

  private var byte: UInt8 {
    switch self {
    case .unknown: UInt8(ascii: ".")
    case .refused: UInt8(ascii: "-")
    case .absent: UInt8(ascii: "n")
    case .allowed: UInt8(ascii: "a")
    case .commonest: UInt8(ascii: "h")
    case .tracing: UInt8(ascii: "t")
    case .clone: UInt8(ascii: "c")
    case .clone3: UInt8(ascii: "3")
    case .personality: UInt8(ascii: "p")
    case .socket: UInt8(ascii: "s")
    case .socketcall: UInt8(ascii: "m")
    case .ioctl: UInt8(ascii: "i")
    case .needsSysAdmin: UInt8(ascii: "A")
    case .needsBPF: UInt8(ascii: "F")
    case .needsPerfmon: UInt8(ascii: "E")
    case .needsSyslog: UInt8(ascii: "L")
    case .needsDacReadSearch: UInt8(ascii: "D")
    case .needsSysBoot: UInt8(ascii: "B")
    case .needsSysChroot: UInt8(ascii: "C")
    case .needsSysModule: UInt8(ascii: "M")
    case .needsSysPacct: UInt8(ascii: "U")
    case .needsSysPtrace: UInt8(ascii: "P")
    case .needsSysRawio: UInt8(ascii: "R")
    case .needsSysTime: UInt8(ascii: "T")
    case .needsSysTtyConfig: UInt8(ascii: "Y")
    case .needsSysNice: UInt8(ascii: "N")
    }
  }

  init?(letter: UInt8) {
    switch letter {
    case UInt8(ascii: "."): self = .unknown
    case UInt8(ascii: "-"): self = .refused
    case UInt8(ascii: "n"): self = .absent
    case UInt8(ascii: "a"): self = .allowed
    case UInt8(ascii: "h"): self = .commonest
    case UInt8(ascii: "t"): self = .tracing
    case UInt8(ascii: "c"): self = .clone
    case UInt8(ascii: "3"): self = .clone3
    case UInt8(ascii: "p"): self = .personality
    case UInt8(ascii: "s"): self = .socket
    case UInt8(ascii: "m"): self = .socketcall
    case UInt8(ascii: "i"): self = .ioctl
    case UInt8(ascii: "A"): self = .needsSysAdmin
    case UInt8(ascii: "F"): self = .needsBPF
    case UInt8(ascii: "E"): self = .needsPerfmon
    case UInt8(ascii: "L"): self = .needsSyslog
    case UInt8(ascii: "D"): self = .needsDacReadSearch
    case UInt8(ascii: "B"): self = .needsSysBoot
    case UInt8(ascii: "C"): self = .needsSysChroot
    case UInt8(ascii: "M"): self = .needsSysModule
    case UInt8(ascii: "U"): self = .needsSysPacct
    case UInt8(ascii: "P"): self = .needsSysPtrace
    case UInt8(ascii: "R"): self = .needsSysRawio
    case UInt8(ascii: "T"): self = .needsSysTime
    case UInt8(ascii: "Y"): self = .needsSysTtyConfig
    case UInt8(ascii: "N"): self = .needsSysNice
    default: return nil
    }
  }

  /// The names in the group; nil for those that are told by what they are not.
  var names: StaticString? {
    switch self {
    case .unknown, .refused, .commonest: nil
    case .absent: "file_getattr file_setattr open_tree_attr uprobe"
    case .allowed: Self.allowedNames
    case .tracing: "process_vm_readv process_vm_writev ptrace"
    case .clone: "clone"
    case .clone3: "clone3"
    case .personality: "personality"
    case .socket: "socket socketpair"
    case .socketcall: "socketcall"
    case .ioctl: "ioctl"
    case .needsSysAdmin:
      """
      fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr
      mount mount_setattr move_mount open_tree quotactl quotactl_fd setdomainname sethostname setns umount
      umount2 unshare
      """
    case .needsBPF: "bpf"
    case .needsPerfmon: "perf_event_open"
    case .needsSyslog: "syslog"
    case .needsDacReadSearch: "open_by_handle_at"
    case .needsSysBoot: "reboot"
    case .needsSysChroot: "chroot"
    case .needsSysModule: "delete_module finit_module init_module"
    case .needsSysPacct: "acct"
    case .needsSysPtrace: "kcmp pidfd_getfd process_madvise"
    case .needsSysRawio: "ioperm iopl"
    case .needsSysTime: "clock_settime clock_settime64 settimeofday stime"
    case .needsSysTtyConfig: "vhangup"
    case .needsSysNice: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"
    }
  }

  private static let allowedNames: StaticString = """
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind
    breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close
    close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat
    faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
    fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64
    fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
    futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32
    getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
    gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
    io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set
    ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat
    listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise
    map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall
    mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
    mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall
    munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64
    process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
    recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat
    renameat2 restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile
    sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsgid32
    setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32
    setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn
    splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range sync_file_range2
    syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
    timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
    times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
    utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
    """

  /// What a program of ours may do that only turns bytes into bytes: pipes and files it was handed, memory, the
  /// clock, and its end. Memory is never made executable.
  static let workerNames: StaticString = """
    brk clock_gettime close exit exit_group ftruncate futex getrandom lseek madvise mremap munmap poll ppoll pread64
    pwrite64 read readv restart_syscall rt_sigreturn sched_yield write writev
    """
  static let workerMemoryNames: StaticString = "mmap mmap2 mprotect"
}
