import AsyncHTTPClient
import Formats
import Images
import Linux
import NIOCore
import NIOSSL

/// HTTP clients for the hosts that one registry makes us speak with: itself, its token server, and where it redirects to. Each host has its
/// own certificates and proxy; who we are (a client's certificate) only the registry itself is shown.
struct RegistryTransport: Sendable {
  private let endpoint: RegistryEndpoint
  private let proxies: ProxyRules
  private var clients: [String: HTTPClient] = [:]

  init(_ endpoint: RegistryEndpoint) throws(ImageError) {
    self.endpoint = endpoint
    func variable(_ name: String) -> String? {
      // Upper case first, as Go's clients do.
      for spelling in [name, name.lowercased()] {
        if let value = Process.environment(spelling), !value.isEmpty { return value }
      }
      return nil
    }
    do throws(FormatError) {
      proxies = try ProxyRules(
        http: variable("HTTP_PROXY"), https: variable("HTTPS_PROXY"), spared: variable("NO_PROXY"))
    } catch { throw ImageError(.usage, "\(error)") }
  }

  mutating func client(for url: URLParts) throws(ImageError) -> HTTPClient {
    if let known = clients[url.origin] { return known }
    var configuration = HTTPClient.Configuration()
    configuration.tlsConfiguration = try tls(url)
    // Redirects are followed by the caller, so that credentials never go with them.
    configuration.redirectConfiguration = .disallow
    configuration.decompression = .disabled
    configuration.timeout = HTTPClient.Configuration.Timeout(
      connect: .seconds(min(15, endpoint.stallSeconds)), read: .seconds(endpoint.stallSeconds),
      write: .seconds(endpoint.stallSeconds))
    configuration.connectionPool.retryConnectionEstablishment = false
    let isSecure = url.scheme == "https"
    if let proxy = proxies.proxy(for: url.host, port: url.port ?? (isSecure ? 443 : 80), isSecure: isSecure) {
      configuration.proxy =
        proxy.isSOCKS
        ? .socksServer(host: proxy.host, port: proxy.port)
        : .server(
          host: proxy.host, port: proxy.port,
          authorization: proxy.credentials.map { .basic(credentials: Base64.encode(Array($0.utf8))) })
    }
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    clients[url.origin] = client
    return client
  }

  mutating func close() async {
    // Nothing is under way; what fails here concerns nobody.
    for client in clients.values { try? await client.shutdown() }
    clients = [:]
  }

  /// The system's authorities, and those of the folder for the host (containers-certs.d(5)): `*.crt` are trusted besides, `NAME.cert`
  /// with `NAME.key` show who we are.
  private func tls(_ url: URLParts) throws(ImageError) -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    if !endpoint.verifiesTLS { tls.certificateVerification = .none }
    let place = url.host + (url.port.map { ":\($0)" } ?? "")
    let isOwn = place == endpoint.host.lowercased()
    guard let folder = endpoint.certificates ?? Self.folder(isOwn ? [endpoint.reference.registry, place] : [place])
    else { return tls }
    do {
      for name in try File.names(inDirectory: folder).sorted() {
        let path = folder + "/" + name
        if name.hasSuffix(".crt") {
          tls.additionalTrustRoots.append(.certificates(try NIOSSLCertificate.fromPEMFile(path)))
        } else if name.hasSuffix(".cert"), isOwn || endpoint.certificates == nil {
          let key = String(path.dropLast(5)) + ".key"
          guard File.exists(key) else {
            throw ImageError(
              .usage,
              "the certificate \(FormatError.presentable(path)) has no key beside it (\(FormatError.presentable(key)))")
          }
          tls.certificateChain = try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
          tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
        } else if name.hasSuffix(".key"), !File.exists(String(path.dropLast(4)) + ".cert") {
          throw ImageError(.usage, "the key \(FormatError.presentable(path)) has no certificate beside it (*.cert)")
        }
      }
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError("cannot use the certificates in \(FormatError.presentable(folder)): \(error)")
    }
    return tls
  }

  /// The first folder there is, as podman and skopeo look.
  private static func folder(_ hosts: [String]) -> String? {
    let home = Process.environment("HOME") ?? "/root"
    for host in hosts {
      for above in [home + "/.config/containers/certs.d/", "/etc/containers/certs.d/", "/etc/docker/certs.d/"]
      where File.exists(above + host) { return above + host }
    }
    return nil
  }
}
