import Formats
import Images
import Linux
import Options
import Registry

/// `pull`: an image from a registry, or from a folder in OCI image layout.
enum PullCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let name = try ImageName(command.operands[0])
    var platform = Platform.host
    if let text = command.value("platform") { platform = try Platform(text) }
    let options = try options(command)
    let progress = LineProgress.chosen(quiet: command.flag("quiet"))
    let adding = try Arrival.begin(store)
    let plan: ImagePlan
    switch name {
    case .layout(let path, let tag):
      plan = try LayoutSource.install(
        LayoutDirectory(path: path), tag: tag, platform: platform, as: name, in: store, progress)
    case .reference(let reference):
      var options = options
      if options.credentials == nil {
        options.credentials = try CredentialFile.find(
          for: reference, file: command.value("authfile"), say: progress.say)
      }
      let (wanted, chosen) = (platform, options)
      plan = try Asynchronous.wait { () async throws(ImageError) in
        try await RegistrySource.install(reference, platform: wanted, chosen, in: store, progress)
      }
    }
    progress.end()
    _ = consume adding
    for field in plan.configuration.unsupportedFields {
      progress.say("the image asks for \(field), which nothing here acts on")
    }
    Output.print(plan.manifest.configuration.digest.description + "\n")
    return 0
  }

  private static func options(_ command: ParsedCommand) throws -> RegistryOptions {
    var options = RegistryOptions()
    if let text = command.value("creds") { options.credentials = try Credentials(text) }
    options.certificates = command.value("cert-dir")
    switch command.value("tls-verify") ?? "true" {
    case "true": break
    case "false": options.verifiesTLS = false
    case let other:
      throw UsageError(command.verb, "--tls-verify \"\(FormatError.presentable(other))\": there are true and false")
    }
    return options
  }
}
