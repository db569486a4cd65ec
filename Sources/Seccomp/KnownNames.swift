/// Tells the names of system calls from typing errors; the tables are indexed as they are needed.
struct KnownNames {
  private var indices: [SyscallIndex] = []
  /// To be indexed, the likeliest last.
  private var others: [Architecture]
  private lazy var foreign = Set(DefaultProfile.words(of: Self.foreignNames))

  init(_ machine: Architecture) {
    let family = machine.family ?? []
    others = ([.riscv64, .arm64, .x32, .arm, .x86, .x86_64] as [Architecture]).filter { !family.contains($0) }
    others += family.reversed()
  }

  mutating func contains(_ name: String) -> Bool {
    if indices.contains(where: { $0.number(of: name) != nil }) { return true }
    while let next = others.popLast() {
      guard let index = SyscallIndex(next) else { continue }
      indices.append(index)
      if index.number(of: name) != nil { return true }
    }
    return foreign.contains(name)
  }

  /// Calls of architectures without a table here (alpha, mips, parisc, powerpc, s390, sh, sparc; libseccomp's
  /// syscalls.csv), and of kernels newer than the tables.
  private static let foreignNames: StaticString = """
    atomic_barrier atomic_cmpxchg_32 cachectl getpagesize getxgid getxpid getxuid listns memory_ordering multiplexer
    osf_getsysinfo osf_setsysinfo pciconfig_iobase pciconfig_read pciconfig_write perfctr rtas s390_guarded_storage
    s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr s390_sthyi sched_get_affinity sched_set_affinity spill
    spu_create spu_run subpage_prot swapcontext switch_endian sync_file_range2 sys_debug_setcontext syscall sysmips timerfd
    usr26 usr32 utrap_install
    """
}
