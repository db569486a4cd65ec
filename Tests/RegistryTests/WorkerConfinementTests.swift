import CLinux
import Foundation
import Linux
import Testing

/// The processes that unpack and inflate layers, looked at from outside while they wait for their input.
@Suite(.enabled(if: FrontCommand.isBuilt, FrontCommand.whyNot), .whileTheSuiteRuns)
struct WorkerConfinementTests {
  /// Fields of /proc/PID/status once `name` is there with `value`; it is read until then, as long as the process lives.
  private func status(of pid: Int32, until name: String, is value: String) throws -> [String: String] {
    while true {
      var fields: [String: String] = [:]
      for line in try File.text("/proc/\(pid)/status").split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        fields[String(parts[0])] = parts.last.map { $0.trimmingCharacters(in: .whitespaces) }
      }
      if fields[name] == value { return fields }
      try #require(fields["State"]?.hasPrefix("Z") != true, "it ended: \(fields)")
    }
  }

  /// - Parameter descriptors: nil for a single one of whatever number.
  private func confirmNothing(_ pid: Int32, _ descriptors: [String]?) throws {
    let fields = try status(of: pid, until: "Seccomp", is: "2")
    #expect(fields["NoNewPrivs"] == "1")
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(fields[set] == "0000000000000000") }
    #expect(fields["Threads"] == "1")
    if FrontCommand.isRoot {
      #expect(fields["Uid"]?.hasPrefix("0") == false)
      #expect(fields["Groups"] == "")
      let open = try File.names(inDirectory: "/proc/\(pid)/fd").sorted()
      if let descriptors { #expect(open == descriptors) } else { #expect(open.count == 1) }
      // A folder that was empty and has no name any more.
      #expect(try File.readLink("/proc/\(pid)/root").hasSuffix(" (deleted)"))
    }
  }

  /// What reads a stranger's bytes, or what another such process made of them: no file but those it works on, no way to any other.
  @Test(arguments: [
    (["layer-worker", "1000"], ["0", "1", "2", "3", "4", "5"]), (["archive-reader", "1000"], ["0", "1"]),
    (["layer-tar", "inflate"], ["0", "1"]), (["layer-packer", "gzip"], ["0", "1"]),
  ])
  func theReaderHasNothing(_ role: [String], _ descriptors: [String]) throws {
    let input = try DescriptorPair.pipe()
    let output = try DescriptorPair.pipe()
    let secret = try File.open("/etc/passwd", O_RDONLY)
    // What the worker of a layer has beside the layer's files.
    let spill = try File.open(NSTemporaryDirectory(), O_RDWR | O_TMPFILE, mode: 0o600)
    let child = try Linux.Process.spawn(
      FrontCommand.path, arguments: ["immure-front"] + role, environment: ["SECRET=x"],
      descriptors: [
        input.first.rawValue, output.second.rawValue, secret.rawValue, secret.rawValue, spill.rawValue,
      ])
    try confirmNothing(child.pid, descriptors)
    if role.first == "layer-worker" {
      // The process that computes its tar's digest has its socket only.
      let children = try File.text("/proc/\(child.pid)/task/\(child.pid)/children").split(separator: " ")
      let helper = try #require(children.first.flatMap { Int32($0) })
      try confirmNothing(helper, nil)
    }
    try child.signal(SIGKILL)
    _ = try child.wait()
  }

  /// What is not a call it may make ends it, and the command says so; here a signal stands for seccomp's.
  @Test func aWorkerThatIsEndedIsAnErrorToRead() throws {
    let front = FrontCommand()
    try front.shell("mkfifo pipe; mkdir tree; head -c 3000000 /dev/urandom > tree/f; tar -C tree -cf root.tar .")
    let result = try front.shell(
      """
      '\(FrontCommand.path)' --root '\(front.root)' import pipe x 2>errors & command=$!
      exec 3>pipe
      head -c 1000000 root.tar >&3
      until worker=$(pgrep -P $command -f layer-worker); do :; done
      kill -SYS $worker
      tail -c +1000001 root.tar >&3 2>/dev/null || :
      exec 3>&-
      wait $command && echo succeeded || echo failed
      cat errors
      """)
    #expect(result.hasPrefix("failed\nimmure: pipe is no root file system"), "\(result)")
    #expect(result.contains("was ended"), "\(result)")
    #expect(front.entries("layers").isEmpty && front.entries("names").isEmpty)
  }

  @Test(.enabled(if: FrontCommand.isRoot, FrontCommand.notRoot)) func theWriterSeesTheLayerOnly() throws {
    let scratch = Scratch()
    let input = try DescriptorPair.pipe()
    let output = try DescriptorPair.pipe()
    let tree = try File.open(scratch.path, O_RDONLY | O_DIRECTORY)
    let child = try Linux.Process.spawn(
      FrontCommand.path, arguments: ["immure-front", "layer-writer", "1000"], environment: [],
      descriptors: [input.first.rawValue, output.second.rawValue, 2, tree.rawValue])
    while try File.readLink("/proc/\(child.pid)/root") == "/" {
      try #require(ProcessIdentity(pid: child.pid) != nil, "it ended")
    }
    #expect(try File.readLink("/proc/\(child.pid)/root") == scratch.path)
    try child.signal(SIGKILL)
    _ = try child.wait()
  }
}
