/// An architecture of the runtime specification (config-linux.md, Seccomp): everything libseccomp 2.5 has a name for.
public enum Architecture: String, Sendable, Hashable, CaseIterable {
  case x86 = "SCMP_ARCH_X86"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case x86_64 = "SCMP_ARCH_X86_64"
  case x32 = "SCMP_ARCH_X32"
  case arm = "SCMP_ARCH_ARM"
  case arm64 = "SCMP_ARCH_AARCH64"
  case mips = "SCMP_ARCH_MIPS"
  case mips64 = "SCMP_ARCH_MIPS64"
  case mips64n32 = "SCMP_ARCH_MIPS64N32"
  case mipsel = "SCMP_ARCH_MIPSEL"
  case mipsel64 = "SCMP_ARCH_MIPSEL64"
  case mipsel64n32 = "SCMP_ARCH_MIPSEL64N32"
  case ppc = "SCMP_ARCH_PPC"
  case ppc64 = "SCMP_ARCH_PPC64"
  case ppc64le = "SCMP_ARCH_PPC64LE"
  case s390 = "SCMP_ARCH_S390"
  case s390x = "SCMP_ARCH_S390X"
  case parisc = "SCMP_ARCH_PARISC"
  case parisc64 = "SCMP_ARCH_PARISC64"
  case riscv64 = "SCMP_ARCH_RISCV64"
  case loongarch64 = "SCMP_ARCH_LOONGARCH64"
  case m68k = "SCMP_ARCH_M68K"
  case sh = "SCMP_ARCH_SH"
  case sheb = "SCMP_ARCH_SHEB"

  /// The architecture this program was built for.
  #if arch(x86_64)
    public static let host = Architecture.x86_64
  #elseif arch(arm64)
    public static let host = Architecture.arm64
  #elseif arch(riscv64)
    public static let host = Architecture.riscv64
  #endif

  /// The bit every x32 call number carries under the token of x86-64 (`__X32_SYSCALL_BIT`, asm/unistd.h).
  public static let x32Bit: UInt32 = 0x4000_0000

  /// The name Docker's profile dialect has for it in `includes.arches` and `excludes.arches` (Go's GOARCH).
  public var dockerName: String {
    switch self {
    case .x86_64: "amd64"
    case .mips64n32: "mips64n32"
    case .mipsel: "mipsle"
    case .mipsel64: "mips64le"
    case .mipsel64n32: "mips64len32"
    case .x86, .x32, .arm, .arm64, .mips, .mips64, .ppc, .ppc64, .ppc64le, .s390, .s390x, .parisc, .parisc64, .riscv64,
      .loongarch64, .m68k, .sh, .sheb:
      "\(self)"
    }
  }

  /// The architectures whose calls a kernel of this one can serve, the native one first; each has a table of call
  /// numbers. nil where Immure has no tables: nothing can be compiled for it.
  public var family: [Architecture]? {
    switch self {
    case .x86_64: [.x86_64, .x86, .x32]
    case .arm64: [.arm64, .arm]
    case .riscv64: [.riscv64]
    case .x86: [.x86]
    case .arm: [.arm]
    default: nil
    }
  }

  /// The kernel's token for it in `seccomp_data.arch` (linux/audit.h): ELF machine, plus bit 31 for 64-bit and bit
  /// 30 for little-endian. x32 has the token of x86-64. nil where Immure has no tables.
  public var auditToken: UInt32? {
    switch self {
    case .x86_64, .x32: 0xC000_003E
    case .x86: 0x4000_0003
    case .arm64: 0xC000_00B7
    case .arm: 0x4000_0028
    case .riscv64: 0xC000_00F3
    default: nil
    }
  }

  /// Whether its calls carry 32-bit arguments, so that only the low halves are compared (as libseccomp does). x32 is
  /// not among them: its registers are 64 bits wide and reach the filter whole.
  public var hasNarrowArguments: Bool { self == .x86 || self == .arm }
}
