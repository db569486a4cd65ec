/// Where a call has a path, and what success means for it.
struct PathPlace {
  /// The argument with the folder's descriptor; nil where a relative path starts from the current folder.
  var folder: Int?
  var path: Int
  var use: PathUse
  /// The argument in which AT_EMPTY_PATH makes the descriptor itself the file.
  var flags: Int?
  init(_ path: Int, at folder: Int? = nil, _ use: PathUse, flags: Int? = nil) {
    self.path = path
    self.folder = folder
    self.use = use
    self.flags = flags
  }
}

/// What of a call is looked at besides its number.
enum CallShape {
  enum OpenFlags {
    case argument(Int)
    case structure(Int)
    case creat
  }
  case open(path: Int, folder: Int?, OpenFlags)
  case paths([PathPlace])
  /// A descriptor's file.
  case descriptor(Int, PathUse)
  case execute(PathPlace)
  case root(PathPlace?)
  case bind, connect, listen, accept
  case send(address: Int)
  case sendMessage, sendMessages
  /// i386's one call for sockets: a number and the address of the arguments (socketcall(2)).
  case socketcall
  /// Gives a descriptor and nothing else of interest.
  case newDescriptor
  /// What only a capability allows; the capability's name.
  case privileged(String)

  /// By name, for every architecture alike: the order of arguments is the same wherever the name is.
  static let all: [String: CallShape] = {
    var all: [String: CallShape] = [
      "open": .open(path: 0, folder: nil, .argument(1)), "openat": .open(path: 1, folder: 0, .argument(2)),
      "openat2": .open(path: 1, folder: 0, .structure(2)), "creat": .open(path: 0, folder: nil, .creat),
      "execve": .execute(PathPlace(0, .executed)),
      "execveat": .execute(PathPlace(1, at: 0, .executed, flags: 4)),
      "getdents": .descriptor(0, .listed), "getdents64": .descriptor(0, .listed),
      "fchmod": .descriptor(0, .changed), "fchown": .descriptor(0, .changed), "fchown32": .descriptor(0, .changed),
      "fsetxattr": .descriptor(0, .changed), "fremovexattr": .descriptor(0, .changed),
      "fchdir": .descriptor(0, .looked),
      "rename": .paths([PathPlace(0, .removed), PathPlace(1, .created)]),
      "renameat": .paths([PathPlace(1, at: 0, .removed), PathPlace(3, at: 2, .created)]),
      "renameat2": .paths([PathPlace(1, at: 0, .removed), PathPlace(3, at: 2, .created)]),
      "link": .paths([PathPlace(0, .changed), PathPlace(1, .created)]),
      "linkat": .paths([PathPlace(1, at: 0, .changed, flags: 4), PathPlace(3, at: 2, .created)]),
      "symlink": .paths([PathPlace(1, .created)]), "symlinkat": .paths([PathPlace(2, at: 1, .created)]),
      "unlink": .paths([PathPlace(0, .removed)]), "rmdir": .paths([PathPlace(0, .removed)]),
      "unlinkat": .paths([PathPlace(1, at: 0, .removed)]),
      "mkdir": .paths([PathPlace(0, .created)]), "mkdirat": .paths([PathPlace(1, at: 0, .created)]),
      "mknod": .paths([PathPlace(0, .created)]), "mknodat": .paths([PathPlace(1, at: 0, .created)]),
      "chroot": .root(PathPlace(0, .looked)), "pivot_root": .root(nil), "setns": .root(nil), "unshare": .root(nil),
      "move_mount": .root(nil), "mount": .root(PathPlace(1, .changed)), "umount2": .root(PathPlace(0, .changed)),
      "umount": .root(PathPlace(0, .changed)), "mount_setattr": .root(nil), "open_tree": .root(nil),
      "bind": .bind, "connect": .connect, "listen": .listen, "accept": .accept, "accept4": .accept,
      "sendto": .send(address: 4), "sendmsg": .sendMessage, "sendmmsg": .sendMessages, "socketcall": .socketcall,
      "utimensat": .paths([PathPlace(1, at: 0, .changed)]), "utimensat_time64": .paths([PathPlace(1, at: 0, .changed)]),
      "futimesat": .paths([PathPlace(1, at: 0, .changed)]),
      "inotify_add_watch": .paths([PathPlace(1, .looked)]), "fanotify_mark": .paths([PathPlace(4, at: 3, .looked)]),
      "name_to_handle_at": .paths([PathPlace(1, at: 0, .looked, flags: 4)]),
      "swapon": .privileged("CAP_SYS_ADMIN"), "swapoff": .privileged("CAP_SYS_ADMIN"),
      "sethostname": .privileged("CAP_SYS_ADMIN"), "setdomainname": .privileged("CAP_SYS_ADMIN"),
      "init_module": .privileged("CAP_SYS_MODULE"), "finit_module": .privileged("CAP_SYS_MODULE"),
      "delete_module": .privileged("CAP_SYS_MODULE"), "settimeofday": .privileged("CAP_SYS_TIME"),
      "clock_settime": .privileged("CAP_SYS_TIME"), "acct": .privileged("CAP_SYS_PACCT"),
      "open_by_handle_at": .privileged("CAP_DAC_READ_SEARCH"), "iopl": .privileged("CAP_SYS_RAWIO"),
      "ioperm": .privileged("CAP_SYS_RAWIO"), "reboot": .privileged("CAP_SYS_BOOT"),
      "kexec_load": .privileged("CAP_SYS_BOOT"), "kexec_file_load": .privileged("CAP_SYS_BOOT"),
    ]
    let looking = [
      "stat", "stat64", "lstat", "lstat64", "oldstat", "oldlstat", "access", "readlink", "statfs", "statfs64", "chdir",
      "getxattr", "lgetxattr", "listxattr", "llistxattr", "uselib",
    ]
    for name in looking { all[name] = .paths([PathPlace(0, .looked)]) }
    for (name, flags) in [("newfstatat", 3), ("fstatat64", 3), ("statx", 2), ("faccessat2", 3), ("getxattrat", 2)] {
      all[name] = .paths([PathPlace(1, at: 0, .looked, flags: flags)])
    }
    for name in ["faccessat", "readlinkat"] { all[name] = .paths([PathPlace(1, at: 0, .looked)]) }
    let changing = [
      "chmod", "chown", "lchown", "chown32", "lchown32", "truncate", "truncate64", "utime", "utimes", "setxattr",
      "lsetxattr", "removexattr", "lremovexattr",
    ]
    for name in changing { all[name] = .paths([PathPlace(0, .changed)]) }
    for (name, flags) in [("fchmodat2", 3), ("fchownat", 4), ("setxattrat", 2), ("removexattrat", 2)] {
      all[name] = .paths([PathPlace(1, at: 0, .changed, flags: flags)])
    }
    all["fchmodat"] = .paths([PathPlace(1, at: 0, .changed)])
    let descriptors = [
      "socket", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "eventfd", "eventfd2", "signalfd", "signalfd4",
      "timerfd_create", "memfd_create", "inotify_init", "inotify_init1", "pidfd_open", "pidfd_getfd", "userfaultfd",
      "perf_event_open", "io_uring_setup", "fanotify_init",
    ]
    for name in descriptors { all[name] = .newDescriptor }
    return all
  }()
}

/// Arguments whose values a profile fixes: those in which one value is another call (an ioctl, a socket family).
enum FixedArgument {
  /// The argument's place by the call's name. All are 32 bits wide to the kernel, so only the low half is compared: junk in the high one
  /// neither evades a rule nor trips over it.
  static let place: [String: UInt8] = [
    "socket": 0, "socketpair": 0, "personality": 0, "ioctl": 1, "prctl": 0, "arch_prctl": 0, "ptrace": 0, "bpf": 0,
    "keyctl": 0, "unshare": 0, "quotactl": 0, "clone": 0,
  ]
}
