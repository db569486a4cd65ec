/// The capabilities that `DefaultProfile` asks for, by the kernel's number (linux/capability.h).
enum Capability: UInt64 {
  case dacReadSearch = 2
  case netRaw = 13
  case sysModule = 16
  case sysRawio = 17
  case sysChroot = 18
  case sysPtrace = 19
  case sysPacct = 20
  case sysAdmin = 21
  case sysBoot = 22
  case sysNice = 23
  case sysTime = 25
  case sysTtyConfig = 26
  case syslog = 34
  case perfmon = 38
  case bpf = 39

  /// Its bit in a set as capget(2) has it.
  var bit: UInt64 { 1 << rawValue }
}
