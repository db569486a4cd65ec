/// The kernel's capabilities by number (linux/capability.h), as far as profiles ask for them.
enum Capability: UInt8, CaseIterable {
  case chown, dacOverride, dacReadSearch, fowner, fsetid, kill, setgid, setuid, setpcap, linuxImmutable
  case netBindService, netBroadcast, netAdmin, netRaw, ipcLock, ipcOwner, sysModule, sysRawio, sysChroot, sysPtrace
  case sysPacct, sysAdmin, sysBoot, sysNice, sysResource, sysTime, sysTtyConfig, mknod, lease, auditWrite
  case auditControl, setfcap, macOverride, macAdmin, syslog, wakeAlarm, blockSuspend, auditRead, perfmon, bpf
  case checkpointRestore

  /// Its bit in a set as capget(2) has it.
  var bit: UInt64 { 1 << UInt64(rawValue) }

  /// `CAP_SYS_ADMIN` and so on.
  var name: String {
    var name = "CAP_"
    for character in "\(self)" {
      if character.isUppercase { name.append("_") }
      name.append(contentsOf: character.uppercased())
    }
    return name
  }

  init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }
}
