import Formats
import Linux
import Policy
import Seccomp
import Walls

/// The seccomp program of a run.
enum RunFilter: Sendable {
  case unconfined
  case compiled(SeccompFilter)
  /// immure's own profile, which is known to compile.
  case later(@Sendable () throws(WallError) -> SeccompFilter)

  /// 32-bit programs may run only where the image is for such a machine.
  static func make(_ policy: Policy, wall: WallName, platform: Platform?) throws(CommandError) -> RunFilter {
    let mask = policy.processes.capabilities?.value ?? CapabilityName.dockerDefaultMask
    let name = policy.processes.seccomp.value
    switch name {
    case "unconfined": return .unconfined
    case "default":
      let denyNetwork = wall == .jail && policy.network.value == .none
      let compat32 = platform.map { ["386", "arm"].contains($0.architecture) } ?? false
      return .later { () throws(WallError) in
        let profile = DefaultProfile(
          wall == .jail ? .jail : .container, capabilities: mask, denyNetwork: denyNetwork, compat32: compat32)
        do throws(SeccompError) { return try compile(SeccompProfile(profile)) } catch {
          throw WallError("seccomp profile \(name): \(error)")
        }
      }
    default:
      let profile = SeccompProfile(try rules(path: name, capabilities: mask))
      do throws(SeccompError) { return .compiled(try compile(profile)) } catch {
        throw CommandError(125, "seccomp profile \(FormatError.presentable(name)): \(error)")
      }
    }
  }

  private static func compile(_ profile: SeccompProfile) throws(SeccompError) -> SeccompFilter {
    let program = try profile.compile()
    return SeccompFilter(
      instructions: program.instructions.map {
        UInt64($0.code) | UInt64($0.jt) << 16 | UInt64($0.jf) << 24 | UInt64($0.k) << 32
      }, flags: program.flags.rawValue)
  }

  private static func rules(path: String, capabilities: UInt64) throws(CommandError) -> ProfileRules {
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(path, limit: 4 << 20) } catch {
      throw CommandError(125, "seccomp profile \(FormatError.presentable(path)): \(error.errno)")
    }
    do throws(FormatError) {
      let context = ProfileContext(capabilities: capabilities, kernel: kernel())
      let rules = try ProfileRules(json: try JSONNode.parse(bytes, source: path), context)
      if !rules.unknownNames.isEmpty {
        Output.complain(
          "seccomp profile \(path): these are no system calls here, and stay refused: \(rules.unknownNames.joined(separator: ", "))"
        )
      }
      return rules
    } catch {
      throw CommandError(125, "seccomp profile \(error)")
    }
  }

  /// "6.18.44-fc" is 6 and 18; profiles have rules that hold from a version on.
  private static func kernel() -> (major: UInt32, minor: UInt32) {
    let text = (try? File.text("/proc/sys/kernel/osrelease")) ?? ""
    let numbers = text.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { UInt32($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : (5, 11)
  }
}
