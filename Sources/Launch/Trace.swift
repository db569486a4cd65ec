import CLinux
import Formats
import Linux
import Options
import Policy
import Seccomp
import Trace
import Walls

/// `trace`: runs a program as it is, and writes the policy and the profile it needs.
enum TraceVerb {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    guard command.afterSeparator else {
      throw CommandError(
        125,
        "trace: only programs of this machine are traced: write `immure trace -- COMMAND` (images are not built yet)")
    }
    let format = command.value("format") ?? "toml"
    guard format == "toml" || format == "json" else {
      throw CommandError(125, "--format \"\(FormatError.presentable(format))\": toml or json")
    }
    let program = try find(command.operands[0])
    // Opened first: a run that may take hours must not end with a report that cannot be written.
    let report = try command.value("output").map { path throws(CommandError) in try Report(path) }
    let profile = try command.value("seccomp").map { path throws(CommandError) in try Report(path) }
    let isQuiet = command.flag("quiet")
    if !isQuiet { Output.complain("trace: the program runs unconfined") }

    var facts: TraceFacts
    do throws(Tracer.Failure) {
      facts = try Tracer().run(program, arguments: command.operands, environment: Process.environment)
    } catch {
      throw failure(error, command.operands[0])
    }
    facts.folder = (try? CurrentFolder.path()) ?? "/"
    facts.home = Process.environment("HOME")

    let calls = ProfileDraft(facts)
    let root = HostRoot.standard(workingDirectory: nil)
    let policy = PolicyDraft(
      facts, ShownPlaces(visible: root.visible, hidden: root.hidden), profile: profile?.named(from: report),
      notes: calls.notes)
    try check(policy, calls)
    if let profile { try profile.write(calls.json.text(indented: true) + "\n") }
    let text: String
    if format == "json" {
      let value: JSONValue = ["policy": .string(policy.text), "seccomp": calls.json, "facts": facts.json]
      text = value.text(indented: true) + "\n"
    } else {
      text = policy.text
    }
    if let report { try report.write(text) } else { Output.write(2, text) }
    if !isQuiet { for warning in policy.warnings { Output.complain("trace: \(warning)") } }
    return facts.status
  }

  private static func failure(_ failure: Tracer.Failure, _ word: String) -> CommandError {
    let shown = FormatError.presentable(word)
    switch failure {
    case .program(.noEntry): return CommandError(127, "trace: \"\(shown)\": not found, or its interpreter is not there")
    case .program(let errno): return CommandError(126, "trace: \"\(shown)\": \(errno)")
    case .tracing(let error):
      let remedy =
        error.errno == .notPermitted
        ? ": a filter or a security module forbids ptrace here (in a container: --cap-add SYS_PTRACE; kernel.yama.ptrace_scope)"
        : ""
      return CommandError(125, "trace: \(error)\(remedy)")
    }
  }

  /// As execvp(3) looks: a name with a slash is a path.
  private static func find(_ name: String) throws(CommandError) -> String {
    if name.utf8.contains(UInt8(ascii: "/")) { return name }
    let path = Process.environment("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    for folder in path.split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = (folder.isEmpty ? "." : String(folder)) + "/" + name
      let isProgram = candidate.withPathAddress {
        systemCall(Int(SYS_faccessat), word(AT_FDCWD), $0, UInt(X_OK), 0) == 0
      }
      if isProgram, let status = try? File.status(candidate), File.kind(status) == S_IFREG { return candidate }
    }
    throw CommandError(127, "trace: \"\(FormatError.presentable(name))\": not found in PATH")
  }

  /// What is written must be what `run` reads: a program's paths and names were a stranger's.
  private static func check(_ policy: PolicyDraft, _ calls: ProfileDraft) throws(CommandError) {
    do throws(PolicyError) {
      _ = try PolicyFile.read(Array(policy.text.utf8), path: "the policy", folder: "/", over: Policy())
    } catch {
      throw CommandError(125, "trace: the policy that was made is not valid: \(error.description)")
    }
    do throws(FormatError) {
      _ = try SeccompProfile(json: calls.json.bytes(), source: "the profile")
    } catch {
      throw CommandError(125, "trace: the profile that was made is not valid: \(error.description)")
    }
  }
}

/// A file that is written once the program has ended; the folder is opened before.
private struct Report {
  let path: String
  private let folder: String
  private let name: String

  init(_ path: String) throws(CommandError) {
    self.path = path
    name = path.split(separator: "/").last.map(String.init) ?? ""
    let parent = path.hasPrefix("/") || path.contains("/") ? File.parent(of: path) ?? "/" : "."
    if path == "-" {
      folder = ""
      return
    }
    guard !name.isEmpty, !path.hasSuffix("/"), name != ".", name != ".." else {
      throw CommandError(125, "\"\(FormatError.presentable(path))\": a file's name is wanted")
    }
    do throws(SystemError) {
      let opened = try File.open(parent, File.directoryOnly)
      // The program may change what a relative path leads to, but not where it is.
      folder = try File.readLink("/proc/self/fd/\(opened.rawValue)")
    } catch {
      throw CommandError(125, "\"\(FormatError.presentable(path))\": \(error.errno)")
    }
    if !File.isWritable(folder) {
      throw CommandError(125, "\"\(FormatError.presentable(path))\": its folder is not writable")
    }
  }

  /// How a policy in another report names this file: by name alone in the same folder, else from the root.
  func named(from other: Report?) -> String {
    if let other, other.path != "-", other.folder == folder { return name }
    return folder == "/" ? "/" + name : folder + "/" + name
  }

  func write(_ text: String) throws(CommandError) {
    do throws(SystemError) {
      if path == "-" { return try File.writeAll(1, text) }
      let opened = try File.open(folder, File.directoryOnly)
      try File.replaceAtomically(name, Array(text.utf8), mode: 0o644, at: opened.rawValue)
    } catch {
      throw CommandError(125, "\"\(FormatError.presentable(path))\": \(error.errno)")
    }
  }
}
