import Linux
import Seccomp
import Sentry
import Testing
import Walls

/// What the sentry may ask of the host's kernel, as the program says that stands over it.
@Suite("The filter over the sentry")
struct SentryFilterTests {
  static func allowed(_ filter: SentryFilter) throws -> Set<UInt32> {
    let program = try filter.compiled().instructions.map {
      FilterInstruction(
        code: UInt16(truncatingIfNeeded: $0), jt: UInt8(truncatingIfNeeded: $0 >> 16),
        jf: UInt8(truncatingIfNeeded: $0 >> 24), k: UInt32(truncatingIfNeeded: $0 >> 32))
    }
    var found: Set<UInt32> = []
    for number in UInt32(0)..<600 {
      let data = SeccompData(number: number, architecture: 0xc000_003e, arguments: [0, 0, 0, 0, 0, 0])
      if try Simulator.run(program, data).action == .allow { found.insert(number) }
    }
    return found
  }

  @Test("at most 55 calls, and each has its reason")
  func count() throws {
    let filter = SentryFilter(hasWritableFolders: false)
    let names = filter.rows.flatMap(\.names)
    #expect(Set(names).count == names.count, "a call stands there twice")
    #expect(filter.rows.allSatisfy { !$0.reason.isEmpty })
    let allowed = try Self.allowed(filter)
    #expect(allowed.count == names.count)
    #expect(allowed.count <= 55, "\(allowed.count)")
  }

  @Test("names are made in writable folders only, and nowhere is memory made executable")
  func conditions() throws {
    let without = try Self.allowed(SentryFilter(hasWritableFolders: false))
    let with = try Self.allowed(SentryFilter(hasWritableFolders: true))
    #expect(without.isSubset(of: with))
    // mknodat, symlinkat, renameat2, fchmodat, fchownat, utimensat, fsync, fsetxattr, fremovexattr.
    #expect(with.subtracting(without) == [259, 266, 316, 268, 260, 280, 74, 190, 199])
    // execve, execveat, clone, clone3, fork, vfork, mprotect, open_by_handle_at, mount, setns, unshare.
    #expect(with.isDisjoint(with: [59, 322, 56, 435, 57, 58, 10, 304, 165, 308, 272]))
  }
}
