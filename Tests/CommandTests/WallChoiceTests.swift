import ChildProcesses
import Foundation
import Testing

/// Which wall `run` takes where the machine refuses something, and what it says then. Each refusal is forced, in namespaces of the
/// test's own.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct WallChoiceTests {
  /// Takes user namespaces away from what follows, in the one-id namespace that the script runs in (user_namespaces(7)).
  static let noUserNamespaces = "echo 0 > /proc/sys/user/max_user_namespaces || exit 99\n"

  private func holds(_ caller: Caller, _ script: String, _ check: (Immure.Result) -> Void) throws {
    let station = try Station(caller)
    check(try station.script(script, seconds: 120))
    #expect(try station.close() == [])
  }

  @Test func whereUserNamespacesAreOffTheContainerSaysSo() throws {
    try holds(.oneID, Self.noUserNamespaces + "box -- true") { result in
      #expect(result.status == 125)
      #expect(result.error.contains("user.max_user_namespaces"), "\(result.error)")
      #expect(result.error.contains("sysctl") && result.error.contains("--wall jail"), "\(result.error)")
      #expect(result.error.split(separator: "\n").count == 1)
    }
  }

  @Test func whereUserNamespacesAreOffTheJailIsTaken() throws {
    try holds(
      .oneID,
      Self.noUserNamespaces + "immure run -- sh -c 'echo in'; immure ps -a --format json | grep -c '\"wall\": \"jail\"'"
    ) {
      result in
      #expect(result.status == 0, "\(result.error)")
      #expect(result.output == "in\n1\n", "\(result.output) \(result.error)")
    }
  }

  @Test func neverThinnerThanTheFloor() throws {
    try holds(
      .oneID,
      Self.noUserNamespaces + """
        immure run --at-least container -- echo in; echo $?
        printf 'at_least = "container"\\n' > $R/floor.toml; immure run --policy $R/floor.toml -- echo in; echo $?
        immure run --wall jail --at-least container -- echo in; echo $?
        """
    ) { result in
      #expect(result.output == "125\n125\n125\n", "\(result.error)")
      let lines = result.error.split(separator: "\n")
      #expect(lines.count == 3)
      #expect(lines.allSatisfy { $0.contains("at_least") || $0.contains("--at-least") }, "\(result.error)")
    }
  }

  @Test func doctorNamesTheRemedy() throws {
    try holds(.oneID, Self.noUserNamespaces + "immure doctor") { result in
      #expect(result.status == 0)
      #expect(result.output.contains("container: cannot be raised"), "\(result.output)")
      #expect(result.output.contains("-> `sysctl user.max_user_namespaces"), "\(result.output)")
      #expect(result.output.contains("jail: ready"), "\(result.output)")
    }
  }

  /// As in a plain Docker container: root by number, Docker's seccomp profile, no CAP_SYS_ADMIN. The box around is one of immure's own.
  @Test func insideAContainerThatForbidsNamespaces() throws {
    try holds(
      .root,
      """
      box -v $B:/immure --cap-add SYS_CHROOT -- sh -c '
        mkdir -p /tmp/s; /immure --root /tmp/s run --wall container -- echo in; echo $?
        /immure --root /tmp/s run -- echo in; echo $?
        /immure --root /tmp/s ps -a --format json | grep -c "\\"wall\\": \\"jail\\""'
      """
    ) { result in
      #expect(result.output == "125\nin\n0\n1\n", "\(result.output) \(result.error)")
      #expect(
        result.error.contains("user namespaces are refused") && result.error.contains("--wall jail"), "\(result.error)")
    }
  }

  /// Root without CAP_SYS_ADMIN is no root here.
  @Test(arguments: contractWalls)
  func rootByNumberOnly(wall: String) throws {
    let station = try Station(.root)
    let result = try station.script(
      "setpriv --bounding-set -sys_admin \"$B\" --root $R run --wall $W -- sh -c 'echo in; cat /etc/shadow 2> /dev/null'; echo $?",
      wall: wall)
    if result.output == "125\n" {
      #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    } else {
      #expect(result.output.hasPrefix("in\n") && !result.output.contains("root:"), "\(result.output) \(result.error)")
    }
    #expect(try station.close() == [])
  }

  /// Without control groups the defaults become rlimits and say so; a limit that somebody asked for is refused.
  @Test(arguments: contractWalls)
  func withoutControlGroups(wall: String) throws {
    let station = try Station(.root)
    let result = try station.script(
      """
      cat > $R/script <<'END'
      umount -l /sys/fs/cgroup || exit 99
      "$B" --root $R run --wall $W -- echo in; echo $?
      "$B" --root $R inspect $("$B" --root $R ps -aq) | grep -A3 '"rule": "limits.memory"' | grep -c weaker
      "$B" --root $R run --wall $W --memory 64m -- echo in; echo $?
      "$B" --root $R run --memory 64m -- echo in; echo $?
      "$B" --root $R run --wall $W --memory 64m --allow-unenforced limits.memory -- echo in; echo $?
      "$B" --root $R doctor | grep -c 'control groups: not mounted'
      END
      export B R W; unshare --mount --propagation private sh $R/script
      """, wall: wall, seconds: 120)
    #expect(result.output == "in\n0\n1\n125\n125\nin\n0\n1\n", "\(result.output) \(result.error)")
    let lines = result.error.split(separator: "\n")
    #expect(lines.count == 2 && lines.allSatisfy { $0.contains("--allow-unenforced limits.memory") }, "\(result.error)")
    #expect(try station.close() == [])
  }

  @Test func theReasonsOfEveryWallAreTold() throws {
    try holds(.user, "immure run --memory 64m --pids 32 -- true") { result in
      // A user whose control groups are delegated to him can have both.
      if result.status == 0 { return }
      #expect(result.status == 125)
      for wall in contractWalls { #expect(result.error.contains(wall), "\(result.error)") }
      #expect(result.error.contains("limits.memory 64 MiB (--memory)"), "\(result.error)")
      #expect(result.error.split(separator: "\n").count == 1)
    }
  }
}
