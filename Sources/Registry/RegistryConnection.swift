import AsyncHTTPClient
import Formats
import Images
import Linux
import NIOCore
import NIOHTTP1
import NIOSSL
import Walls

/// How a registry is spoken to.
public struct RegistryOptions: Sendable {
  public var credentials: Credentials?
  /// A folder with the registry's certificates: `*.crt` are trusted besides the system's, `*.cert` with `*.key` show who we are.
  public var certificates: String?
  /// False takes any certificate, and plain http.
  public var verifiesTLS = true
  public init() {}
}

/// Requests to one registry: which scheme, whose certificates, how failures are told.
actor RegistryConnection {
  let reference: ImageReference
  let options: RegistryOptions
  private let client: HTTPClient
  private var scheme: String?
  private var authorization: String?

  static let userAgent = "immure/0.1"

  init(_ reference: ImageReference, _ options: RegistryOptions) throws(ImageError) {
    self.reference = reference
    self.options = options
    var configuration = HTTPClient.Configuration()
    configuration.tlsConfiguration = try Self.tls(reference, options)
    // Redirects are followed here, so that credentials never go with them.
    configuration.redirectConfiguration = .disallow
    configuration.decompression = .disabled
    configuration.timeout = HTTPClient.Configuration.Timeout(connect: .seconds(15), read: .seconds(60))
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.proxy = Self.proxy(for: Self.host(of: reference))
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  func close() async {
    // Nothing is under way; what fails here concerns nobody.
    try? await client.shutdown()
  }

  /// Docker Hub's API is at another host than its name says.
  static func host(of reference: ImageReference) -> String {
    reference.registry == ImageReference.defaultRegistry ? "registry-1.docker.io" : reference.registry
  }

  /// Loopback may be spoken to without TLS, as with Docker.
  private var mayUsePlainHTTP: Bool {
    if !options.verifiesTLS { return true }
    let host = reference.registry.split(separator: ":").first.map(String.init) ?? ""
    return host == "localhost" || host.hasPrefix("127.") || reference.registry.hasPrefix("[::1]")
  }

  // MARK: Requests

  /// A GET on the registry's API, with credentials as it asks for them.
  func get(_ path: String, headers: HTTPHeaders = [:]) async throws(ImageError) -> HTTPClientResponse {
    let base = try await base()
    let url = base + "/v2/" + reference.repository + path
    var response = try await send(url, headers, authorization)
    if response.status == .unauthorized {
      authorization = try await authorize(response, base)
      response = try await send(url, headers, authorization)
      if response.status == .unauthorized { throw await refusal(response) }
    }
    return try await follow(response, from: url, headers)
  }

  /// Follows redirects: at most five, never from https to http, and without credentials once scheme, host or port differ.
  private func follow(
    _ first: HTTPClientResponse, from url: String, _ headers: HTTPHeaders
  ) async throws(ImageError) -> HTTPClientResponse {
    var response = first
    var place = url
    let origin = URLParts(url)
    for _ in 0..<5 {
      guard [301, 302, 303, 307, 308].contains(response.status.code) else { return response }
      guard let location = response.headers.first(name: "Location"), let next = URLParts(location, relativeTo: place)
      else { throw ImageError(.damaged, "the registry \(reference.registry) redirects to nowhere") }
      if origin?.scheme == "https" && next.scheme != "https" {
        throw ImageError(
          .damaged,
          "the registry \(reference.registry) redirects from https to \(FormatError.presentable(location)): refused")
      }
      place = next.text
      let isSame = next.origin == origin?.origin
      response = try await send(place, headers, isSame ? authorization : nil)
    }
    throw ImageError(.damaged, "the registry \(reference.registry) redirects more than five times")
  }

  private func send(
    _ url: String, _ headers: HTTPHeaders, _ authorization: String?, body: String? = nil
  ) async throws(ImageError) -> HTTPClientResponse {
    var last: (any Error)?
    for attempt in 0..<4 {
      if attempt > 0 { await Self.pause(attempt) }
      var request = HTTPClientRequest(url: url)
      request.headers = headers
      request.headers.replaceOrAdd(name: "User-Agent", value: Self.userAgent)
      if let authorization { request.headers.replaceOrAdd(name: "Authorization", value: authorization) }
      if let body {
        request.method = .POST
        request.headers.replaceOrAdd(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.body = .bytes(ByteBuffer(string: body))
      }
      do {
        let response = try await client.execute(request, timeout: .seconds(120))
        // Too many requests, and failures of a moment.
        if [429, 502, 503, 504].contains(response.status.code), attempt < 3 {
          last = ImageError("the registry answers \(response.status)")
          continue
        }
        return response
      } catch {
        last = error
        if !NetworkFailure.isOfTheMoment(error) { break }
      }
    }
    throw NetworkFailure.explain(last, url, reference)
  }

  /// Half a second, doubled each time.
  static func pause(_ attempt: Int) async {
    // Woken early only where the command is ending.
    try? await Task.sleep(for: .milliseconds(250 << attempt))
  }

  /// The scheme is tried once: https, then http where that is allowed.
  private func base() async throws(ImageError) -> String {
    let host = Self.host(of: reference)
    if let scheme { return scheme + "://" + host }
    let secure = "https://" + host
    do throws(ImageError) {
      _ = try await send(secure + "/v2/", [:], nil)
      scheme = "https"
      return secure
    } catch {
      guard mayUsePlainHTTP, error.kind != .damaged else { throw error }
      let plain = "http://" + host
      do throws(ImageError) { _ = try await send(plain + "/v2/", [:], nil) } catch _ { throw error }
      scheme = "http"
      return plain
    }
  }

  // MARK: Authorization

  private func authorize(_ response: HTTPClientResponse, _ base: String) async throws(ImageError) -> String {
    var challenges: [AuthenticationChallenge] = []
    for header in response.headers["WWW-Authenticate"] {
      do throws(FormatError) { challenges += try AuthenticationChallenge.parse(header) } catch {
        throw ImageError("registry \(reference.registry)", error)
      }
    }
    if let bearer = challenges.first(where: { $0.scheme == "bearer" }) {
      return "Bearer " + (try await token(bearer, base))
    }
    if challenges.contains(where: { $0.scheme == "basic" }) {
      guard let basic = options.credentials?.basic else { throw await refusal(response) }
      guard base.hasPrefix("https:") || mayUsePlainHTTP else { throw await refusal(response) }
      return basic
    }
    throw ImageError(
      "the registry \(reference.registry) wants to know who asks, in none of the ways known here (basic, bearer)")
  }

  /// A bearer token for pulling the repository (distribution-spec, token authentication).
  private func token(_ challenge: AuthenticationChallenge, _ base: String) async throws(ImageError) -> String {
    guard let realm = challenge.parameters["realm"], let place = URLParts(realm) else {
      throw ImageError(.damaged, "the registry \(reference.registry) names no token server")
    }
    // Credentials go to where the registry says, but not in the clear unless the registry itself is spoken to so.
    guard place.scheme == "https" || (base.hasPrefix("http:") && place.scheme == "http") else {
      throw ImageError(
        .damaged,
        "the registry \(reference.registry) names the token server \(FormatError.presentable(realm)), which is not https: refused"
      )
    }
    let scope = challenge.parameters["scope"] ?? "repository:\(reference.repository):pull"
    let service = challenge.parameters["service"]
    let response: HTTPClientResponse
    if case .identityToken(let refresh) = options.credentials {
      var form = "grant_type=refresh_token&client_id=immure&refresh_token=" + URLParts.escaped(refresh)
      form += "&scope=" + URLParts.escaped(scope)
      if let service { form += "&service=" + URLParts.escaped(service) }
      response = try await send(place.text, [:], nil, body: form)
    } else {
      var query = place.text + (place.hasQuery ? "&" : "?") + "scope=" + URLParts.escaped(scope)
      if let service { query += "&service=" + URLParts.escaped(service) }
      response = try await send(query, [:], options.credentials?.basic)
    }
    guard response.status == .ok else { throw await refusal(response) }
    let bytes = try await collect(response, limit: 1 << 20)
    do throws(FormatError) {
      let root = try JSONNode.parse(bytes, source: "token of \(place.host)")
      var token = try root.optionalString("token") ?? ""
      if token.isEmpty { token = try root.string("access_token") }
      guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        throw FormatError("is no token", source: place.host)
      }
      return token
    } catch {
      throw ImageError("registry \(reference.registry)", error)
    }
  }

  // MARK: Answers

  /// The whole body of a small answer.
  func collect(_ response: HTTPClientResponse, limit: Int) async throws(ImageError) -> [UInt8] {
    do {
      let buffer = try await response.body.collect(upTo: limit)
      return Array(buffer.readableBytesView)
    } catch is NIOTooManyBytesError {
      throw ImageError(
        .damaged, "the registry \(reference.registry) answers with more than \(limit) bytes where less was due")
    } catch {
      throw NetworkFailure.explain(error, reference.registry, reference)
    }
  }

  /// Why a registry refused, in its own words as far as they are fit to show.
  func refusal(_ response: HTTPClientResponse) async -> ImageError {
    var words = ""
    // The status alone tells enough where the body does not come.
    if let bytes = try? await collect(response, limit: 64 << 10),
      let root = try? JSONNode.parse(bytes, source: ""),
      let first = try? root.optionalArray("errors").first, let message = try? first.optionalString("message")
    {
      words = " (\(FormatError.presentable(message)))"
    }
    let name = reference.familiar
    switch response.status.code {
    case 401:
      let hint = options.credentials == nil ? "give --creds or --authfile" : "the credentials given are refused"
      return ImageError(
        .notFound,
        "the registry \(reference.registry) does not let \(name) be pulled: there is no such image, or it wants to know who asks\(words); \(hint)"
      )
    case 403: return ImageError("the registry \(reference.registry) forbids to pull \(name)\(words)")
    case 404: return ImageError(.notFound, "there is no image \(name) at \(reference.registry)\(words)")
    case 429: return ImageError("the registry \(reference.registry) has had too many requests\(words): try again later")
    default: return ImageError("the registry \(reference.registry) answers \(response.status)\(words)")
    }
  }

  // MARK: Settings

  private static func tls(_ reference: ImageReference, _ options: RegistryOptions) throws(ImageError)
    -> TLSConfiguration
  {
    var tls = TLSConfiguration.makeClientConfiguration()
    if !options.verifiesTLS { tls.certificateVerification = .none }
    let host = Self.host(of: reference)
    var folders = ["/etc/containers/certs.d/" + host, "/etc/docker/certs.d/" + host].filter { File.exists($0) }
    if let named = options.certificates { folders = [named] }
    for folder in folders {
      do {
        for name in try File.names(inDirectory: folder).sorted() {
          let path = folder + "/" + name
          if name.hasSuffix(".crt") {
            tls.additionalTrustRoots.append(.certificates(try NIOSSLCertificate.fromPEMFile(path)))
          } else if name.hasSuffix(".cert") {
            let key = String(path.dropLast(5)) + ".key"
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
          }
        }
      } catch {
        throw ImageError("cannot use the certificates in \(FormatError.presentable(folder)): \(error)")
      }
    }
    return tls
  }

  /// The proxy that the environment names, as curl reads it: `HTTPS_PROXY`, `NO_PROXY`.
  private static func proxy(for host: String) -> HTTPClient.Configuration.Proxy? {
    let name = String(host.split(separator: ":").first ?? "")
    let spared = Process.environment("NO_PROXY") ?? Process.environment("no_proxy") ?? ""
    for rule in spared.split(separator: ",").map({ $0.trimmingSpaces }) where !rule.isEmpty {
      if rule == "*" || name == rule || name.hasSuffix(rule.hasPrefix(".") ? rule : "." + rule) { return nil }
    }
    if name == "localhost" || name.hasPrefix("127.") { return nil }
    guard let text = Process.environment("HTTPS_PROXY") ?? Process.environment("https_proxy"),
      let proxy = URLParts(text)
    else { return nil }
    return .server(host: proxy.host, port: proxy.port ?? 3128)
  }
}
