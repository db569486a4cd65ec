import Formats
import Images
import Linux
import Options
import Registry

/// `pull`: an image from a registry, or from a folder in OCI image layout.
enum PullCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let word = RegistryWords.bare(command.operands[0])
    let name = try ImageName(word)
    var platform = Platform.host
    if let text = command.value("platform") { platform = try Platform(text) }
    let progress = try LineProgress.chosen(command)
    let access = try RegistryWords.access(command)
    let adding = try Arrival.begin(store)
    let plan: ImagePlan
    switch name {
    case .layout(let path, let tag):
      let layout = LayoutDirectory(path: path)
      let given = try layout.imageName(tag: tag)
      plan = try LayoutSource.install(layout, tag: tag, platform: platform, as: given, in: store, progress)
      progress.say("named \(given.familiar)")
    case .reference: plan = try fetch(word, platform, access, store, progress)
    }
    progress.end()
    _ = consume adding
    for field in plan.configuration.unsupportedFields {
      progress.say("the image asks for \(field), which nothing here acts on")
    }
    Output.print(plan.manifest.configuration.digest.description + "\n")
    return 0
  }

  /// A short name may mean several images: the first that there is.
  static func fetch(
    _ word: String, _ platform: Platform, _ access: RegistryAccess, _ store: ImageStore, _ progress: LineProgress
  ) throws -> ImagePlan {
    for remark in access.configuration.remarks { progress.say(remark) }
    var meanings: [ImageReference]
    let chosen: ImageReference?
    do {
      chosen = try access.configuration.question(about: word).flatMap { try ShortNameQuestion.ask(word, $0) }
      meanings = try chosen.map { [$0] } ?? access.configuration.meanings(of: word)
    } catch let error as FormatError {
      throw ImageError(.usage, "image \(error)")
    }
    for (index, reference) in meanings.enumerated() {
      do throws(ImageError) {
        let endpoints = try access.sources(for: reference)
        let plan = try Asynchronous.wait { () async throws(ImageError) in
          try await RegistrySource.install(reference, from: endpoints, platform: platform, in: store, progress)
        }
        if let chosen { ShortNameQuestion.remember(word, chosen, progress) }
        return plan
      } catch {
        guard index < meanings.count - 1 else { throw error }
        progress.say("\(error); trying \(meanings[index + 1].canonical)")
      }
    }
    throw ImageError(.usage, "\"\(FormatError.presentable(word))\" means no image")
  }
}

/// Which image a short name means, where registries.conf leaves several and somebody is there to ask.
enum ShortNameQuestion {
  /// - Returns: nil where nobody is there.
  static func ask(_ word: String, _ candidates: [ImageReference]) throws -> ImageReference? {
    guard Terminal.isTerminal(0), Terminal.isTerminal(2) else { return nil }
    var text = "\"\(FormatError.presentable(word))\" may mean\n"
    for (index, candidate) in candidates.enumerated() { text += "  \(index + 1)  \(candidate.canonical)\n" }
    while true {
      try File.writeAll(2, text + "Which one, 1 to \(candidates.count)? ")
      let answer = try File.read(0, atMost: 64)
      guard !answer.isEmpty else { throw ImageError("given up") }
      let word = String(decoding: answer, as: UTF8.self).filter { !$0.isWhitespace }
      if let number = Int(word), candidates.indices.contains(number - 1) { return candidates[number - 1] }
      text = ""
    }
  }

  /// The image is here: that it cannot be recorded costs a question next time.
  static func remember(_ word: String, _ chosen: ImageReference, _ progress: LineProgress) {
    do throws(ImageError) {
      try RegistriesConfiguration.remember(ImageReference.bare(word), means: chosen.name)
    } catch { progress.say(error.message) }
  }
}

/// The options that commands which speak to registries share.
enum RegistryWords {
  /// podman and skopeo write `docker://` before a registry's name.
  static func bare(_ word: String) -> String { word.hasPrefix("docker://") ? String(word.dropFirst(9)) : word }

  static func access(_ command: ParsedCommand) throws -> RegistryAccess {
    let configuration = try RegistriesConfiguration.load()
    let given = try command.value("creds").map { text throws(ImageError) in try Credentials(text) }
    var access = RegistryAccess(
      configuration: configuration,
      book: CredentialBook(given: given, file: command.value("authfile"), helpers: configuration.credentialHelpers))
    access.certificates = command.value("cert-dir")
    switch command.value("tls-verify") {
    case nil: break
    case "true": access.verifiesTLS = true
    case "false": access.verifiesTLS = false
    case let other?:
      throw UsageError(command.verb, "--tls-verify \"\(FormatError.presentable(other))\": there are true and false")
    }
    if let retries = try number(command, "retry", 0...100) { access.retries = Int(retries) }
    if let seconds = try number(command, "stall-timeout", 1...86_400) { access.stallSeconds = seconds }
    return access
  }

  private static func number(
    _ command: ParsedCommand, _ option: String, _ range: ClosedRange<Int64>
  ) throws(UsageError) -> Int64? {
    guard let text = command.value(option) else { return nil }
    guard let number = Int64(text), range.contains(number) else {
      throw UsageError(
        command.verb,
        "--\(option) \"\(FormatError.presentable(text))\" is no number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
