import CLinux
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import SentryIPC
import SentryTasks

/// /proc/sys: settings that programs read. What may be written is what belongs to the sandbox: its names.
enum KernelSettings {
  static func tree(_ system: ProcFileSystem) -> Inode {
    let kernel = system.kernel
    let root = FixedDirectory(system)
    func folder(_ name: String, in parent: FixedDirectory) -> FixedDirectory {
      let made = FixedDirectory(system)
      parent.add(name, made)
      return made
    }
    func fixed(_ directory: FixedDirectory, _ rows: [(String, String)]) {
      for (name, text) in rows {
        let bytes = Array((text + "\n").utf8)
        directory.add(name, GeneratedFile(system) { (_) throws(Errno) in bytes })
      }
    }
    let own = folder("kernel", in: root)
    fixed(
      own,
      [
        ("ostype", "Linux"), ("pid_max", "4194304"), ("threads-max", "63448"), ("ngroups_max", "65536"),
        ("cap_last_cap", "\(Capability.last)"), ("overflowuid", "65534"), ("overflowgid", "65534"),
        ("core_pattern", "core"),
        ("core_uses_pid", "0"), ("randomize_va_space", "2"), ("msgmax", "8192"), ("msgmnb", "16384"),
        ("msgmni", "32000"),
        ("shmmax", "18446744073692774399"), ("shmall", "18446744073692774399"), ("shmmni", "4096"),
        ("sem", "32000\t1024000000\t500\t32000"), ("sched_child_runs_first", "0"), ("tainted", "0"),
        ("perf_event_paranoid", "4"), ("kptr_restrict", "1"), ("dmesg_restrict", "1"), ("printk", "4\t4\t1\t7"),
      ])
    own.add("osrelease", GeneratedFile(system) { (_) throws(Errno) in kernel.names.release + [0x0a] })
    own.add("version", GeneratedFile(system) { (_) throws(Errno) in kernel.names.version + [0x0a] })
    own.add("hostname", name(system, \.host))
    own.add("domainname", name(system, \.domain))
    fixed(folder("yama", in: own), [("ptrace_scope", "1")])
    let random = folder("random", in: own)
    fixed(random, [("entropy_avail", "256"), ("poolsize", "256"), ("boot_id", identifier())])
    random.add("uuid", GeneratedFile(system) { (_) throws(Errno) in Array((identifier() + "\n").utf8) })
    fixed(folder("seccomp", in: own), [("actions_avail", "")])

    fixed(
      folder("vm", in: root),
      [
        ("overcommit_memory", "0"), ("overcommit_ratio", "50"), ("overcommit_kbytes", "0"), ("max_map_count", "65530"),
        ("swappiness", "60"), ("mmap_min_addr", "65536"), ("nr_hugepages", "0"), ("dirty_ratio", "20"),
        ("dirty_background_ratio", "10"), ("legacy_va_layout", "0"),
      ])
    let files = folder("fs", in: root)
    fixed(
      files,
      [
        ("file-max", "9223372036854775807"), ("file-nr", "0\t0\t9223372036854775807"), ("nr_open", "1048576"),
        ("pipe-max-size", "1048576"), ("pipe-user-pages-soft", "16384"), ("lease-break-time", "45"),
        ("protected_symlinks", "1"), ("protected_hardlinks", "1"), ("suid_dumpable", "0"), ("aio-max-nr", "65536"),
      ])
    fixed(
      folder("inotify", in: files),
      [("max_queued_events", "16384"), ("max_user_instances", "128"), ("max_user_watches", "65536")])
    fixed(folder("epoll", in: files), [("max_user_watches", "1048576")])
    fixed(
      folder("mqueue", in: files),
      [
        ("msg_default", "10"), ("msg_max", "10"), ("msgsize_default", "8192"), ("msgsize_max", "8192"),
        ("queues_max", "\(NamedQueueLimits.queues)"),
      ])
    let network = folder("net", in: root)
    fixed(
      folder("core", in: network),
      [
        ("somaxconn", "4096"), ("rmem_max", "212992"), ("wmem_max", "212992"), ("rmem_default", "212992"),
        ("wmem_default", "212992"),
      ])
    fixed(
      folder("ipv4", in: network),
      [
        ("ip_local_port_range", "32768\t60999"), ("ip_unprivileged_port_start", "1024"), ("tcp_syncookies", "1"),
        ("tcp_keepalive_time", "7200"), ("tcp_keepalive_intvl", "75"), ("tcp_keepalive_probes", "9"),
        ("tcp_fin_timeout", "60"), ("tcp_rmem", "4096\t131072\t6291456"), ("tcp_wmem", "4096\t16384\t4194304"),
      ])
    fixed(folder("unix", in: network), [("max_dgram_qlen", "512")])
    _ = folder("crypto", in: root)
    return root
  }

  private static func name(_ system: ProcFileSystem, _ place: WritableKeyPath<MachineNames, [UInt8]>) -> Inode {
    let kernel = system.kernel
    let take = { (bytes: [UInt8], caller: FileCaller) throws(Errno) in
      guard caller.credentials.has(Capability.administer) else { throw Errno.notPermitted }
      space(kernel, caller).names[keyPath: place] = [UInt8](bytes.prefix { $0 != 0 && $0 != 0x0a }.prefix(64))
    }
    return GeneratedFile(system, permissions: 0o644, take: take) { (caller) throws(Errno) in
      space(kernel, caller).names[keyPath: place] + [0x0a]
    }
  }

  /// The names that a caller knows.
  private static func space(_ kernel: Kernel, _ caller: FileCaller) -> NameSpace {
    kernel.tasks[caller.thread]?.namespaces.names ?? kernel.namespaces.names
  }

  /// A random UUID (RFC 9562, version 4).
  private static func identifier() -> String {
    let (high, low) = (HostRandom.bits(), HostRandom.bits())
    let first = Text.hexadecimal(high & ~0xf000 | 0x4000, digits: 16)
    let second = Text.hexadecimal(low & ~(3 << 62) | 1 << 63, digits: 16)
    func part(_ text: String, _ range: Range<Int>) -> Substring {
      text.dropFirst(range.lowerBound).prefix(range.count)
    }
    return
      "\(part(first, 0..<8))-\(part(first, 8..<12))-\(part(first, 12..<16))-\(part(second, 0..<4))-\(part(second, 4..<16))"
  }
}
