import CLinux
import Formats
import Images
import Linux
import Options
import Registry

/// `login`: a registry is asked whether it knows a name and a password, which are then kept.
enum LoginCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let place = try RegistryPlace(command.operands[0], command.verb)
    var access = try RegistryWords.access(command)
    let path = command.value("authfile") ?? AuthFile.standardPaths()[0]
    if command.flag("get-login") { return try tell(place, access, path) }
    var words = try LoginWords(command)
    // A name alone may be asked for again with another password; nothing is asked for that was given.
    let user = try words.user(at: place.text)
    let password = try words.password(of: user)
    let credentials = Credentials.password(user: user, password: password)
    access.book = CredentialBook(given: credentials)
    let endpoint = try access.destination(of: place.reference)
    let isProved = try Asynchronous.wait { () async throws(ImageError) in try await RegistryLogin.prove(endpoint) }
    if !isProved {
      Output.complain(
        "\(place.text) lets everybody in to its front: whether the password is right is seen when it is used")
    }
    let holder = try CredentialKeeper(path, place, access.configuration.credentialHelpers).keep(credentials)
    Output.print("logged in to \(place.text) as \(FormatError.presentable(user)), kept \(holder)\n")
    return 0
  }

  private static func tell(_ place: RegistryPlace, _ access: RegistryAccess, _ path: String) throws -> Int32 {
    var book = access.book
    if let named = book.file, !File.exists(named) {
      book.file = nil
      book.helpers = book.helpers.filter { $0 != CredentialBook.files }
    }
    guard let found = try book.find(for: place.reference) else {
      throw ImageError(.notFound, "nobody is logged in to \(place.text)")
    }
    Output.print((found.user ?? CredentialAnswer.tokenUser) + "\n")
    return 0
  }
}

/// `logout`: what `login` kept goes.
enum LogoutCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let path = command.value("authfile") ?? AuthFile.standardPaths()[0]
    let configuration = try RegistriesConfiguration.load()
    if command.flag("all") {
      guard command.operands.isEmpty else { throw UsageError(command.verb, "--all and a registry: give one of them") }
      let places = try CredentialKeeper.forgetAll(path, configuration.credentialHelpers)
      for place in places { Output.print("logged out of \(FormatError.presentable(place))\n") }
      if places.isEmpty { Output.print("nobody was logged in\n") }
      return 0
    }
    guard let word = command.operands.first else { throw UsageError(command.verb, "HOST is missing, or --all") }
    let place = try RegistryPlace(word, command.verb)
    guard try CredentialKeeper(path, place, configuration.credentialHelpers).forget() else {
      throw ImageError(.notFound, "nobody is logged in to \(place.text) by \(FormatError.presentable(path))")
    }
    Output.print("logged out of \(place.text)\n")
    return 0
  }
}

extension RegistryPlace {
  init(_ word: String, _ verb: Verb) throws(UsageError) {
    do throws(FormatError) { try self.init(word) } catch {
      throw UsageError(verb, "\(error)")
    }
  }
}

/// Name and password of a login: from options, standard input, or a person at the terminal.
struct LoginWords {
  private let givenUser: String?
  private let givenPassword: String?
  private let command: ParsedCommand

  init(_ command: ParsedCommand) throws {
    self.command = command
    givenUser = command.value("username")
    let stdin = command.flag("password-stdin")
    if stdin, command.value("password") != nil {
      throw UsageError(command.verb, "--password and --password-stdin: give one of them")
    }
    if stdin {
      guard givenUser != nil else { throw UsageError(command.verb, "--password-stdin wants --username") }
      let bytes = try File.readAll(0, limit: 64 << 10)
      var text = String(decoding: bytes, as: UTF8.self)
      for end in ["\r\n", "\n"] where text.hasSuffix(end) {
        text.removeLast()
        break
      }
      givenPassword = text
    } else {
      givenPassword = command.value("password")
    }
    for (what, text) in [("--username", givenUser), ("the password", givenPassword)] {
      guard let text else { continue }
      guard !text.isEmpty, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
        throw UsageError(command.verb, "\(what) is empty or has control characters in it")
      }
    }
    if givenUser?.contains(":") == true {
      throw UsageError(command.verb, "--username has a colon in it, which no registry can take")
    }
  }

  mutating func user(at place: String) throws -> String {
    if let givenUser { return givenUser }
    let text = try ask("Name at \(place): ", hidden: false)
    guard !text.isEmpty, !text.contains(":") else {
      throw UsageError(command.verb, "a name is not empty and has no colon")
    }
    return text
  }

  mutating func password(of user: String) throws -> String {
    if let givenPassword { return givenPassword }
    let text = try ask("Password of \(FormatError.presentable(user)): ", hidden: true)
    guard !text.isEmpty else { throw UsageError(command.verb, "the password is empty") }
    return text
  }

  /// A line from the terminal, key by key, so that nothing typed is left in the terminal's hands where the command is ended.
  private func ask(_ prompt: String, hidden: Bool) throws -> String {
    guard Terminal.isTerminal(0) else {
      throw UsageError(command.verb, "standard input is no terminal: give --username and --password-stdin")
    }
    let before = try Terminal.attributes(0)
    try Terminal.setAttributes(0, before.raw)
    defer {
      // Nothing can be done where the terminal has gone.
      try? Terminal.setAttributes(0, before)
      try? File.writeAll(2, "\r\n")
    }
    try File.writeAll(2, prompt)
    var line: [UInt8] = []
    while true {
      let key = try File.read(0, atMost: 1)
      switch key.first {
      case 13, 10: return String(decoding: line, as: UTF8.self)
      case nil, 3, 4: throw ImageError("given up")
      case 8, 127:
        while let last = line.popLast(), last & 0xC0 == 0x80 {}
        if !hidden { try File.writeAll(2, "\u{8} \u{8}") }
      case 21:
        line = []
        if !hidden { try File.writeAll(2, "\r\u{1B}[K" + prompt) }
      case let byte? where byte >= 0x20 && line.count < 4096:
        line.append(byte)
        if !hidden { try File.writeAll(2, [byte]) }
      default: break
      }
    }
  }
}
