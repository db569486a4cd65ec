import Formats
import Testing

/// The numbers are the kernel headers': include/uapi/linux/capability.h, asm-generic/resource.h, signal(7).
@Suite("Names that are data")
struct NameTests {
  @Test(arguments: [
    ("CAP_CHOWN", 0), ("setpcap", 8), ("NET_ADMIN", 12), ("Cap_Sys_Admin", 21), ("CAP_SETFCAP", 31), ("bpf", 39),
    ("CAP_CHECKPOINT_RESTORE", 40),
  ])
  func capability(name: String, number: Int) {
    #expect(CapabilityName.number(name) == number)
    #expect(CapabilityName.number(CapabilityName.name(number) ?? "") == number)
  }

  @Test(arguments: ["", "CAP_", "ALL", "CAP_CAP_CHOWN", "chown ", "41"])
  func noCapability(name: String) { #expect(CapabilityName.number(name) == nil) }

  @Test func capabilityMasks() {
    #expect(CapabilityName.names(in: CapabilityName.everyMask).count == 41)
    #expect(
      Set(CapabilityName.names(in: CapabilityName.dockerDefaultMask))
        == Set(
          [
            "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
            "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
          ].map { "CAP_" + $0 }))
    #expect(CapabilityName.name(41) == nil)
    #expect(CapabilityName.name(-1) == nil)
  }

  @Test(
    arguments: [
      ("SIGTERM", 15), ("TERM", 15), ("term", 15), ("15", 15), ("SIGKILL", 9), ("HUP", 1), ("SYS", 31), ("POLL", 29),
      ("SIGRTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX", 64), ("RTMAX-14", 50), ("64", 64), ("CHLD", 17), ("WINCH", 28),
    ] as [(String, Int32)])
  func signal(text: String, number: Int32) {
    #expect(SignalName.number(text) == number)
    #expect(SignalName.number(SignalName.name(number)) == number)
  }

  @Test(arguments: [
    "", "SIG", "0", "65", "-9", "+9", "SIGSIGTERM", "RTMIN-1", "RTMIN+31", "RTMIN++1", "RTMAX+1", "TERM ", "9x",
  ])
  func noSignal(text: String) { #expect(SignalName.number(text) == nil) }

  @Test(
    arguments: [("RLIMIT_CPU", 0), ("nofile", 7), ("RLIMIT_NPROC", 6), ("core", 4), ("as", 9), ("RTTIME", 15)]
      as [(String, Int32)])
  func resource(name: String, number: Int32) {
    #expect(ResourceLimitName.number(name) == number)
    #expect(ResourceLimitName.number(ResourceLimitName.name(number) ?? "") == number)
    #expect(ResourceLimitName.number(name + "x") == nil)
  }

  @Test(
    arguments: [
      ("memroy", "memory"), ("memory", "memory"), ("MEMORY", "memory"), ("open-files", "open_files"), ("pid", "pids"),
      ("tiemout", "timeout"), ("zzzz", nil), ("", nil),
    ])
  func nearest(name: String, expected: String?) {
    #expect(NearestName.of(name, among: ["memory", "pids", "open_files", "timeout"]) == expected)
  }
}
