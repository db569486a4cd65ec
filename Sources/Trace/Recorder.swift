import CLinux
import Linux
import Seccomp

/// Turns beginnings and ends of calls into facts. Only what succeeded is a need: a call that failed was a look-up, and would fail again.
final class Recorder {
  var facts = TraceFacts()
  var book = CallBook()
  /// Whether a tracee changed its root or its mounts: from then on each path is looked at through its own root.
  private var rootsDiffer = false
  private var rootsNoted = false

  // MARK: Beginnings

  func begin(_ task: Tracee, token: UInt32, number: UInt64, _ arguments: CallArguments) {
    task.endCall()
    guard let call = book.call(token: token, number: number) else { return }
    task.call = call
    task.arguments = arguments
    call.count += 1
    if let place = call.fixed, let values = call.values {
      if values.count < TraceFacts.mostValues {
        call.values?.insert(UInt32(truncatingIfNeeded: arguments[Int(place)]))
      } else {
        call.values = nil
      }
    }
    if call.name == "clone3" {
      // struct clone_args: flags first. A filter cannot see them; the profile asks what they were.
      if let flags = TraceeMemory(pid: task.id).word(arguments[0], size: 8) {
        call.values?.insert(UInt32(truncatingIfNeeded: flags))
      }
    }
    guard let shape = call.shape else { return }
    switch shape {
    case .open(let path, let folder, let flags):
      let how = openFlags(task, flags)
      guard let name = self.path(task, PathPlace(path, at: folder, .looked)) else { return }
      task.pending = [(name, Recorder.use(ofOpen: how))]
      if how & O_CREAT != 0 { task.existed = File.exists(name) }
    case .execute(let place), .root(let place?): remember(task, place)
    case .paths(let places):
      for place in places { remember(task, place) }
      // What a rename replaces was there before and goes.
      if call.name.hasPrefix("rename"), task.pending.count == 2, File.exists(task.pending[1].path) {
        task.pending[1].use = [.changed, .removed]
      }
    case .descriptor(let index, let use):
      if let path = link(task, "fd/\(arguments.int(index))") { task.pending = [(path, use)] }
    default: break
    }
  }

  private func remember(_ task: Tracee, _ place: PathPlace) {
    if let path = path(task, place) { task.pending.append((path, place.use)) }
  }

  private func openFlags(_ task: Tracee, _ place: CallShape.OpenFlags) -> Int32 {
    switch place {
    case .argument(let index): return task.arguments.int(index)
    case .creat: return O_CREAT | O_WRONLY | O_TRUNC
    case .structure(let index):
      // struct open_how: flags first. What cannot be read fails for the kernel too.
      return Int32(truncatingIfNeeded: TraceeMemory(pid: task.id).word(task.arguments[index], size: 8) ?? 0)
    }
  }

  private static func use(ofOpen flags: Int32) -> PathUse {
    if flags & O_PATH != 0 { return .looked }
    let temporary = Int32(0o20000000)
    if flags & temporary == temporary { return .created }
    switch flags & O_ACCMODE {
    case O_WRONLY: return .changed
    case O_RDWR: return [.read, .changed]
    default: return flags & O_TRUNC != 0 ? [.read, .changed] : .read
    }
  }

  // MARK: Ends

  func end(_ task: Tracee, result: Int64) {
    guard let call = task.call else { return }
    defer { task.endCall() }
    switch call.shape {
    case nil: return
    case .connect where result == 0 || result == -Int64(EINPROGRESS):
      return connection(task, descriptor: task.arguments.int(0), address: task.arguments[1], task.arguments[2])
    case .socketcall: return endSocketCall(task, result)
    default: if result < 0 { return }
    }
    switch call.shape {
    case .open: opened(task, Int32(truncatingIfNeeded: result))
    case .paths, .descriptor, .execute: commit(task)
    case .root(_):
      commit(task)
      changedRoot(call.name, task)
    case .bind: bound(task, descriptor: task.arguments.int(0), address: task.arguments[1], task.arguments[2])
    case .listen: listening(task, task.arguments.int(0), accepted: 0)
    case .accept:
      noteDescriptor(result)
      listening(task, task.arguments.int(0), accepted: 1)
    case .send(let index):
      if task.arguments[index] != 0 {
        connection(task, descriptor: task.arguments.int(0), address: task.arguments[index], task.arguments[index + 1])
      }
    case .sendMessage, .sendMessages: message(task, header: task.arguments[1])
    case .newDescriptor: noteDescriptor(result)
    case .privileged(let capability): facts.privileges[capability, default: []].insert(call.name)
    case .connect, .socketcall, nil: break
    }
  }

  func noteDescriptor(_ result: Int64) {
    facts.peakDescriptors = max(facts.peakDescriptors, Int(clamping: result) + 1)
  }

  private func changedRoot(_ name: String, _ task: Tracee) {
    // A new user or network namespace alone leaves the files as they are.
    let newMounts = UInt64(UInt32(bitPattern: CLONE_NEWNS))
    if name == "unshare" && task.arguments[0] & newMounts == 0 && task.arguments[0] & 0x7e02_0080 == 0 { return }
    rootsDiffer = true
    if name == "chroot" { return }
    if rootsNoted == false {
      rootsNoted = true
      facts.note("the program changed its root or its mounts: paths are as its own root has them")
    }
    facts.privileges["CAP_SYS_ADMIN", default: []].insert(name)
  }

  private func commit(_ task: Tracee) {
    for (path, use) in task.pending { add(path, use, of: task) }
  }

  private func add(_ path: String, _ use: PathUse, of task: Tracee, at place: String? = nil) {
    // The processes' own entries differ with every run.
    if path.hasPrefix("/proc/"), let next = path.utf8.dropFirst(6).first,
      next != UInt8(ascii: "s") || path.hasPrefix("/proc/self")
    {
      return
    }
    facts.add(path, use) { Recorder.kind(of: place ?? path) }
  }

  private func opened(_ task: Tracee, _ descriptor: Int32) {
    noteDescriptor(Int64(descriptor))
    guard let (path, wanted) = task.pending.first else { return }
    let place = "/proc/\(task.id)/fd/\(descriptor)"
    var use = wanted
    if !task.existed { use.insert(.created) }
    if case .folder = Recorder.kind(of: place), use == .read { use = .looked }
    add(path, use, of: task, at: place)
    // The same file by the path that links led to.
    if let real = link(task, "fd/\(descriptor)"), real != path { add(real, use, of: task, at: place) }
  }

  /// A new program: its file, the interpreter of a script and the loader, which the kernel opens by itself.
  func executed(_ task: Tracee) {
    guard let maps = try? File.text("/proc/\(task.id)/maps") else { return }
    for line in maps.split(separator: "\n").prefix(64) {
      guard let start = line.firstIndex(of: "/") else { continue }
      let path = String(line[start...])
      if !path.hasSuffix(" (deleted)"), !path.contains("\\") { add(rooted(path, task), .executed, of: task) }
    }
  }

  static func kind(of path: String) -> PathFact.Kind {
    guard let status = try? File.status(path) else { return .absent }
    switch File.kind(status) {
    case mode_t(S_IFDIR): return .folder
    case mode_t(S_IFREG): return .file
    case mode_t(S_IFSOCK): return .socket
    case mode_t(S_IFIFO): return .pipe
    default: return .device
    }
  }

  // MARK: Paths

  /// The absolute path an argument stands for; nil where it cannot be read, is empty, or is no text that a policy could hold.
  func path(_ task: Tracee, _ place: PathPlace) -> String? {
    let address = task.arguments[place.path]
    let folder = place.folder.map { task.arguments.int($0) } ?? AT_FDCWD
    // A null path is the descriptor itself (utimensat(2), statx(2)).
    let bytes = address == 0 ? [] : TraceeMemory(pid: task.id).string(address)
    guard let bytes else { return nil }
    if bytes.isEmpty {
      let isDescriptor =
        address == 0 ? place.folder != nil : place.flags.map { task.arguments.int($0) & AT_EMPTY_PATH != 0 }
      // What it asks of a file that is open already is no need of its own.
      guard isDescriptor == true, folder == AT_FDCWD || place.use != .looked else { return nil }
      return folder == AT_FDCWD ? link(task, "cwd") : link(task, "fd/\(folder)")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      facts.note("a path is not UTF-8 and so in no policy: \(Quoted.text(String(decoding: bytes, as: UTF8.self)))")
      return nil
    }
    if text.hasPrefix("/") { return rooted(Recorder.normal(text), task) }
    guard let start = folder == AT_FDCWD ? link(task, "cwd") : link(task, "fd/\(folder)") else { return nil }
    return Recorder.normal(start + "/" + text)
  }

  /// An absolute path of the tracee as one of ours, where its root is another.
  private func rooted(_ path: String, _ task: Tracee) -> String {
    guard rootsDiffer, let root = link(task, "root"), root != "/" else { return path }
    return Recorder.normal(root + "/" + path)
  }

  /// What a link of the task in /proc leads to: an absolute path that still has a name.
  func link(_ task: Tracee, _ name: String) -> String? {
    guard let target = try? File.readLink("/proc/\(task.id)/\(name)"), target.hasPrefix("/"),
      !target.hasSuffix(" (deleted)")
    else { return nil }
    return target
  }

  /// Without ".", ".." and doubled slashes; a link before ".." is taken for a folder, which a successful open then corrects.
  static func normal(_ path: String) -> String {
    var names: [Substring] = []
    for name in path.split(separator: "/") where name != "." {
      if name == ".." { _ = names.popLast() } else { names.append(name) }
    }
    return "/" + names.joined(separator: "/")
  }
}
