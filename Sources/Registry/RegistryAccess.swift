public import Formats
public import Images

/// How registries are spoken to: what the command line, registries.conf and the files of credentials say.
public struct RegistryAccess: Sendable {
  public var configuration: RegistriesConfiguration
  public var book: CredentialBook
  /// `--cert-dir`: a folder with the registry's certificates.
  public var certificates: String?
  /// `--tls-verify`; nil leaves it to registries.conf.
  public var verifiesTLS: Bool?
  /// How often a request or a transfer that failed for a moment is taken up again.
  public var retries = 3
  /// Seconds without a byte after which a connection counts as dead.
  public var stallSeconds: Int64 = 60

  public init(configuration: RegistriesConfiguration, book: CredentialBook) {
    self.configuration = configuration
    self.book = book
  }

  /// Where an image is asked for, in order, with the credentials for each: files are read and helpers run here, before anything waits.
  public func sources(for reference: ImageReference) throws(ImageError) -> [RegistryEndpoint] {
    let sources: [RegistriesConfiguration.Source]
    do throws(FormatError) { sources = try configuration.sources(for: reference) } catch {
      throw ImageError(.usage, "image \(error)")
    }
    var endpoints: [RegistryEndpoint] = []
    for source in sources { endpoints.append(try endpoint(source)) }
    return endpoints
  }

  /// Where an image is pushed to.
  public func destination(of reference: ImageReference) throws(ImageError) -> RegistryEndpoint {
    let source: RegistriesConfiguration.Source
    do throws(FormatError) { source = try configuration.destination(of: reference) } catch {
      throw ImageError(.usage, "image \(error)")
    }
    return try endpoint(source)
  }

  private func endpoint(_ source: RegistriesConfiguration.Source) throws(ImageError) -> RegistryEndpoint {
    RegistryEndpoint(
      reference: source.reference, isMirror: source.isMirror, credentials: try book.find(for: source.reference),
      certificates: certificates, verifiesTLS: verifiesTLS ?? !source.isInsecure, retries: retries,
      stallSeconds: stallSeconds)
  }
}

/// One repository at one registry, and how it is spoken to.
public struct RegistryEndpoint: Sendable {
  public let reference: ImageReference
  let isMirror: Bool
  var credentials: Credentials?
  let certificates: String?
  /// False takes any certificate, and plain http.
  let verifiesTLS: Bool
  let retries: Int
  let stallSeconds: Int64

  /// Host and port of the API; Docker Hub's is at another host than its name says.
  var host: String {
    reference.registry == ImageReference.defaultRegistry ? "registry-1.docker.io" : reference.registry
  }

  /// Loopback may be spoken to without TLS, as with Docker.
  var mayUsePlainHTTP: Bool {
    if !verifiesTLS { return true }
    let name = reference.registry.split(separator: ":").first.map(String.init) ?? ""
    return name == "localhost" || name.hasPrefix("127.") || reference.registry.hasPrefix("[::1]")
  }
}
