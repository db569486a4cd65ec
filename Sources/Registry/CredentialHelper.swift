import CLinux
import Formats
import Images
import Linux

/// A program that keeps credentials (docker/docker-credential-helpers): `docker-credential-NAME`, looked for along PATH. Secrets go
/// over its standard streams only; what it takes in time and output is bounded.
struct CredentialHelper {
  let name: String
  /// A person may have to unlock something.
  private static let seconds: UInt64 = 60

  var program: String { "docker-credential-" + name }

  /// Nil where the helper has none for the server.
  func get(_ server: String) throws(ImageError) -> CredentialAnswer? {
    let (isGood, output) = try run("get", Array(server.utf8))
    guard isGood else {
      if CredentialAnswer.isAbsence(output) { return nil }
      throw failure("get", output)
    }
    do throws(FormatError) { return try CredentialAnswer(output, source: program) } catch {
      throw ImageError("\(error)")
    }
  }

  func store(_ credentials: CredentialAnswer, for server: String) throws(ImageError) {
    let (isGood, output) = try run("store", credentials.storing(server))
    if !isGood { throw failure("store", output) }
  }

  /// False where it had none.
  func erase(_ server: String) throws(ImageError) -> Bool {
    let (isGood, output) = try run("erase", Array(server.utf8))
    if isGood { return true }
    if CredentialAnswer.isAbsence(output) { return false }
    throw failure("erase", output)
  }

  func list() throws(ImageError) -> [(server: String, user: String)] {
    let (isGood, output) = try run("list", [])
    guard isGood else { throw failure("list", output) }
    do throws(FormatError) { return try CredentialAnswer.list(output, source: program) } catch {
      throw ImageError("\(error)")
    }
  }

  /// Its first line of words: what it prints when it fails holds no secret by the protocol; what it prints otherwise is never shown.
  private func failure(_ word: String, _ output: [UInt8]) -> ImageError {
    let line = String(decoding: output.prefix { $0 != 10 }, as: UTF8.self)
    return ImageError("\(program) \(word) fails\(line.isEmpty ? "" : ": " + FormatError.presentable(line))")
  }

  private func path() throws(ImageError) -> String {
    guard CredentialAnswer.isHelper(name) else {
      throw ImageError(.usage, "\"\(FormatError.presentable(name))\" is not the name of a credential helper")
    }
    // Relative folders would mean whichever folder the command is run in.
    for folder in (Process.environment("PATH") ?? "").split(separator: ":") where folder.hasPrefix("/") {
      let path = folder + "/" + program
      if let status = try? File.status(path), File.kind(status) == mode_t(S_IFREG), status.st_mode & 0o111 != 0 {
        return path
      }
    }
    throw ImageError("\(program), which is to hold the credentials, is nowhere along PATH: install it, or use --creds")
  }

  private func run(_ word: String, _ input: [UInt8]) throws(ImageError) -> (isGood: Bool, output: [UInt8]) {
    let path = try path()
    // More would not fit into the pipe before the helper reads.
    guard input.count <= 32 << 10 else { throw ImageError(.usage, "credentials of more than 32 KiB cannot be kept") }
    return try system("cannot run \(program)") { () throws(SystemError) in
      let toHelper = try DescriptorPair.pipe()
      let fromHelper = try DescriptorPair.pipe()
      let child = try Process.spawn(
        path, arguments: [program, word], environment: Process.environment,
        descriptors: [toHelper.first.rawValue, fromHelper.second.rawValue, 2])
      let reading = try fromHelper.first.duplicate()
      try FileDescriptor.setNonBlocking(reading.rawValue, true)
      let writing = try toHelper.second.duplicate()
      // Ours would keep the pipes open.
      _ = consume fromHelper
      _ = consume toHelper
      do throws(SystemError) { try File.writeAll(writing.rawValue, input) } catch {
        // One that does not read its input may answer all the same.
        guard error.errno == .brokenPipe else { throw error }
      }
      _ = consume writing
      do throws(SystemError) {
        let deadline = Clock.monotonicNanoseconds() + Self.seconds * 1_000_000_000
        let output = try Self.read(reading.rawValue, until: deadline)
        try Self.wait(child.descriptor.rawValue, until: deadline)
        return (try child.wait() == .exited(0), output)
      } catch {
        // It has had its time, or says too much.
        try? child.signal(SIGKILL)
        _ = try? child.wait()
        throw error
      }
    }
  }

  private static func read(_ descriptor: Int32, until deadline: UInt64) throws(SystemError) -> [UInt8] {
    var output: [UInt8] = []
    while true {
      try wait(descriptor, until: deadline)
      let chunk = try File.read(descriptor, atMost: 16 << 10)
      if chunk.isEmpty { return output }
      output += chunk
      if output.count > CredentialAnswer.maximumSize { throw SystemError("read", "", Errno(rawValue: EFBIG)) }
    }
  }

  private static func wait(_ descriptor: Int32, until deadline: UInt64) throws(SystemError) {
    while true {
      let now = Clock.monotonicNanoseconds()
      guard now < deadline else { throw SystemError("wait", "", Errno(rawValue: ETIMEDOUT)) }
      var entries = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
      if try Poll.wait(&entries, nanoseconds: deadline - now) > 0 { return }
    }
  }
}
