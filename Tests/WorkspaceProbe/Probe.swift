import Linux
import Trees
import Workspace

/// Applies a workspace and kills itself, as kill -9 would, at the point of a number: what no test process survives.
///
///     WorkspaceProbe ROOT NAME POINT
///
/// Exits with 0 when the application was over before that point.
@main
enum Probe {
  static func main() {
    let arguments = Process.arguments
    guard arguments.count == 4, let last = Int(arguments[3]) else {
      say("usage: WorkspaceProbe ROOT NAME POINT")
      Process.exit(2)
    }
    do {
      let workspace = try Workspace.open(named: arguments[2], in: arguments[1])
      var passed = 0
      let report = try workspace.apply(force: false, dryRun: false) { _ in
        if passed == last { endNow() }
        passed += 1
      }
      for conflict in report.conflicts { say("conflict: \(conflict.path.shown): \(conflict.reason)") }
      Process.exit(report.isApplied ? 0 : 3)
    } catch {
      say("\(error)")
      Process.exit(1)
    }
  }

  static func endNow() {
    do { try Process.signal(pid: Process.id, 9) } catch { say("\(error)") }
  }

  static func say(_ line: String) {
    // Without a reader there is nobody to tell.
    try? File.writeAll(1, line + "\n")
  }
}
