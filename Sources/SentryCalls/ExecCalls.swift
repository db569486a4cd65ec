import CLinux
import Formats
import Linux
import SentryABI
import SentryELF
import SentryFiles
import SentryMemory
import SentryTasks

/// execve(2): the sentry finds and checks the program and its interpreters; the host's kernel replaces the process.
enum ExecCalls {
  static let rows: [CallRow] = [
    CallRow(59, "execve", .part("32-bit programs, and what binfmt_misc would run: ENOEXEC")) {
      (call, task) throws(Errno) in
      let path = try task.memory.string(call.arguments.0.address)
      if path.isEmpty { throw .noEntry }
      let file = try task.walk.openProgram(path)
      return try execute(file, name: path, path: path, descriptor: -1, task)
    },
    CallRow(322, "execveat", .part("as execve; AT_EXECVE_CHECK: EINVAL")) { (call, task) throws(Errno) in
      try execveat(call, task)
    },
  ]

  private static func execveat(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.4.int32
    guard flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0 else { throw .invalid }
    let path = try task.memory.string(call.arguments.1.address)
    let descriptor = call.arguments.0.int32
    if path.isEmpty {
      guard flags & AT_EMPTY_PATH != 0 else { throw .noEntry }
      let entry = try task.descriptors.entry(descriptor)
      guard let place = entry.file.path else { throw .accessDenied }
      let file = try task.walk.openProgram(place)
      return try execute(
        file, name: Array("/dev/fd/\(descriptor)".utf8), path: nil, descriptor: descriptor, task,
        isHidden: entry.closesOnExec)
    }
    var start: Path?
    if path.first != 0x2f, descriptor != AT_FDCWD {
      guard let folder = try task.descriptors.file(descriptor).path else { throw .notDirectory }
      start = folder
    }
    let file = try task.walk.openProgram(path, from: start, followsLast: flags & AT_SYMLINK_NOFOLLOW == 0)
    let name = start == nil ? path : Array("/dev/fd/\(descriptor)/".utf8) + path
    return try execute(file, name: name, path: path, descriptor: start == nil ? -1 : descriptor, task)
  }

  /// - Parameters:
  ///   - name: what an interpreter is told to read.
  ///   - path: what the host's kernel will walk.
  ///   - isHidden: the name means nothing to the interpreter, as its descriptor is closed.
  private static func execute(
    _ file: OpenFile, name: [UInt8], path: [UInt8]?, descriptor: Int32, _ task: Task, isHidden: Bool = false
  ) throws(Errno) -> Outcome {
    let held = HeldFiles()
    let program = try Program.find(file, name: name, isHidden: isHidden, held, task)
    guard let first = program.files.first else { throw .execFormat }
    let (who, isSecure) = try ExecPrivileges.credentials(of: first, for: task)
    let before = task.credentials
    let gives =
      who.effectiveUser != before.effectiveUser || who.effectiveGroup != before.effectiveGroup
      || who.permitted & ~before.permitted != 0
    let plan = try LoadPlan.encode(
      program.elf, interpreter: program.interpreter, prefix: program.prefix,
      LoadPlan.Identity(
        user: who.user, effectiveUser: who.effectiveUser, group: who.group, effectiveGroup: who.effectiveGroup,
        isSecure: isSecure))
    var descriptors: [Int32] = []
    for file in program.files {
      let descriptor = try file.hostDescriptor(writable: false)
      descriptors.append(descriptor)
      if let place = file.path, let name = task.paths.namespace.text(of: place, root: task.paths.namespace.root) {
        task.kernel.remember(mapped: descriptor, as: name)
      }
    }
    let place = program.files.first?.path
    let title = Array(name.split(separator: 0x2f).last ?? [])
    let text = program.files.first?.path.flatMap { task.paths.namespace.text(of: $0, root: task.paths.root) } ?? name
    try task.kernel.host.execute(
      ProgramImage(plan: plan, descriptors: descriptors), path: path, descriptor: descriptor, gives: gives,
      for: task
    ) { task in
      held.drop()
      if task.descriptors.users > 1 {
        let own = task.descriptors.copy()
        task.descriptors.leave()
        task.descriptors = own
      }
      _ = task.descriptors.closeOnExec()
      task.didExec(name: title, program: text, place: place, as: who)
    }
    return .native
  }
}

/// Open files that must stay until an image is loaded, or will not be.
private final class HeldFiles {
  private var files: [OpenFile] = []
  func add(_ file: OpenFile) {
    file.retain()
    files.append(file)
  }
  func drop() {
    let dropped = files
    files = []
    for file in dropped { file.release() }
  }
  deinit { drop() }
}

/// A file as something to execute, with the interpreters that it names.
private struct Program {
  var elf: ELFProgram
  var interpreter: ELFProgram?
  /// The program, then PT_INTERP's.
  var files: [OpenFile]
  /// In argv[0]'s place, where scripts are involved.
  var prefix: [[UInt8]]

  /// Interpreters of scripts that are scripts themselves (fs/exec.c, exec_binprm).
  private static let depthLimit = 5
  /// Bytes of a file that are read at once: most programs' headers, and their interpreter's name, lie in them.
  private static let headSize = 1024

  static func find(
    _ file: OpenFile, name: [UInt8], isHidden: Bool, _ held: HeldFiles, _ task: Task
  ) throws(Errno) -> Program {
    var (file, name) = (file, name)
    var prefix: [[UInt8]] = []
    var depth = 0
    while true {
      held.add(file)
      let head = try file.bytes(at: 0, count: headSize)
      guard head.starts(with: [0x23, 0x21]) else {
        return try image(file, head, prefix, held, task)
      }
      guard let line = ScriptLine(Array(head.prefix(ScriptLine.limit))) else { throw .execFormat }
      if isHidden { throw .noEntry }
      depth += 1
      if depth > depthLimit { throw .loop }
      prefix = [line.interpreter] + (line.argument.map { [$0] } ?? []) + [name] + prefix.dropFirst()
      name = line.interpreter
      file = try task.walk.openProgram(line.interpreter)
    }
  }

  private static func image(
    _ file: OpenFile, _ head: [UInt8], _ prefix: [[UInt8]], _ held: HeldFiles, _ task: Task
  ) throws(Errno) -> Program {
    let elf = try OpenProgram(file: file).elf(head: head)
    guard let place = elf.interpreter else { return Program(elf: elf, files: [file], prefix: prefix) }
    let isRead = place.upperBound <= UInt64(head.count)
    let name =
      try isRead
      ? Array(head[Int(place.lowerBound)..<Int(place.upperBound)])
      : file.bytes(at: Int64(truncatingIfNeeded: place.lowerBound), count: place.count)
    guard name.count == place.count, !name.contains(0) else { throw .execFormat }
    let loader = try task.walk.openProgram(name)
    held.add(loader)
    let code = try loader.bytes(at: 0, count: headSize)
    let interpreter: ELFProgram
    do throws(Errno) { interpreter = try OpenProgram(file: loader).elf(head: code) } catch {
      // As the kernel says of an interpreter that is none.
      throw error == .execFormat ? Errno(rawValue: ELIBBAD) : error
    }
    return Program(elf: elf, interpreter: interpreter, files: [file, loader], prefix: prefix)
  }
}

private struct OpenProgram: ProgramFile {
  let file: OpenFile
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    try file.bytes(at: Int64(truncatingIfNeeded: offset), count: count)
  }
}
