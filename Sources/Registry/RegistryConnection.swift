import AsyncHTTPClient
import Formats
import Images
import Linux
import NIOCore
import NIOHTTP1

/// One request to a registry.
struct RegistryRequest: Sendable {
  enum Body: Sendable {
    case none
    case bytes([UInt8])
    /// Bytes that go by once.
    case stream(BlobStream)
  }
  var method: HTTPMethod = .GET
  var headers: HTTPHeaders = [:]
  var body = Body.none

  var isRepeatable: Bool { if case .stream = body { false } else { true } }
}

/// Requests to one repository of a registry: which scheme, who asks, how failures are told.
actor RegistryConnection {
  /// What is done to the repository: what a token must allow.
  enum Purpose: Sendable { case pull, push, login }

  let endpoint: RegistryEndpoint
  let purpose: Purpose
  private var transport: RegistryTransport
  private var scheme: String?
  var authorization: String?
  /// Other repositories that blobs are mounted from.
  var mountedFrom: Set<String> = []

  static let userAgent = "immure/0.1"
  /// A server that wants to be left alone for longer is told of instead of waited for.
  static let longestWait: Int64 = 120

  nonisolated var reference: ImageReference { endpoint.reference }

  init(_ endpoint: RegistryEndpoint, for purpose: Purpose) throws(ImageError) {
    self.endpoint = endpoint
    self.purpose = purpose
    transport = try RegistryTransport(endpoint)
  }

  func close() async {
    var closing = transport
    await closing.close()
  }

  // MARK: Requests

  /// A request on the repository, with credentials as the registry asks for them; redirects of GET and HEAD are followed.
  func request(_ request: RegistryRequest, _ path: String) async throws(ImageError) -> HTTPClientResponse {
    try await self.request(request, at: try await base() + "/v2/" + reference.repository + path)
  }

  func get(_ path: String, headers: HTTPHeaders = [:]) async throws(ImageError) -> HTTPClientResponse {
    try await request(RegistryRequest(headers: headers), path)
  }

  /// A request on any URL of the registry's. Where it cannot be repeated, an answer 401 comes back once who asks is known anew.
  func request(_ request: RegistryRequest, at url: String) async throws(ImageError) -> HTTPClientResponse {
    let isOwn = URLParts(url)?.origin == URLParts(try await base())?.origin
    let used = isOwn ? authorization : nil
    var response = try await send(request, url, used)
    if isOwn, response.status == .unauthorized {
      // Once for a request, so that a registry that always asks is not answered for ever; another request may have done it meanwhile.
      if authorization == used { authorization = try await authorize(response, try await base()) }
      guard request.isRepeatable else { return response }
      response = try await send(request, url, authorization)
      if response.status == .unauthorized { throw await refusal(response) }
    }
    guard request.method == .GET || request.method == .HEAD else { return response }
    return try await follow(response, request, from: url)
  }

  /// Follows redirects: at most five, never from https to http, and without credentials once scheme, host or port differ.
  private func follow(
    _ first: HTTPClientResponse, _ request: RegistryRequest, from url: String
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
      response = try await send(request, place, isSame ? authorization : nil)
    }
    throw ImageError(.damaged, "the registry \(reference.registry) redirects more than five times")
  }

  /// Sends a request, again where the failure is one of the moment.
  func send(
    _ wish: RegistryRequest, _ url: String, _ authorization: String?
  ) async throws(ImageError) -> HTTPClientResponse {
    guard let parts = URLParts(url) else { throw ImageError(.damaged, "\"\(FormatError.presentable(url))\" is no URL") }
    let client = try transport.client(for: parts)
    var last: (any Error)?
    let retries = wish.isRepeatable ? endpoint.retries : 0
    for attempt in 0...retries {
      var request = HTTPClientRequest(url: url)
      request.method = wish.method
      request.headers = wish.headers
      request.headers.replaceOrAdd(name: "User-Agent", value: Self.userAgent)
      if let authorization { request.headers.replaceOrAdd(name: "Authorization", value: authorization) }
      switch wish.body {
      case .none: break
      case .bytes(let bytes): request.body = .bytes(ByteBuffer(bytes: bytes))
      case .stream(let stream): request.body = .stream(stream, length: .known(stream.count))
      }
      do {
        // Until the head of the answer is there; silence in what follows is bounded by the client's own timeouts.
        let head: TimeAmount = wish.isRepeatable ? .seconds(2 * endpoint.stallSeconds) : .hours(24)
        let response = try await client.execute(request, timeout: head)
        guard NetworkFailure.isOfTheMoment(response.status), attempt < retries else { return response }
        let wanted = Self.wait(response)
        guard wanted ?? 0 <= Self.longestWait else { return response }
        await Self.pause(attempt + 1, wanted: wanted)
      } catch {
        last = error
        if !NetworkFailure.isOfTheMoment(error) || attempt == retries { break }
        await Self.pause(attempt + 1)
      }
    }
    throw NetworkFailure.explain(last, url, endpoint)
  }

  /// How long a server wants to be left alone.
  static func wait(_ response: HTTPClientResponse) -> Int64? {
    response.headers.first(name: "Retry-After").flatMap {
      RetryAfter.seconds($0.filter { $0 != "\t" }, now: Clock.realTime().seconds)
    }
  }

  /// As long as the server wants, else half a second, doubled each time up to eight; a part of it by chance, so that many clients do not
  /// come again together.
  static func pause(_ attempt: Int, wanted: Int64? = nil) async {
    let whole = wanted.map { $0 * 1000 } ?? min(8000, 250 << Int64(min(attempt, 8)))
    let jitter = Int64.random(in: 0...max(50, min(whole / 2, 1000)))
    // Woken early only where the command is ending.
    try? await Task.sleep(for: .milliseconds(wanted == nil ? whole - whole / 4 + jitter / 2 : whole + jitter))
  }

  /// The scheme is tried once: https, then http where that is allowed.
  func base() async throws(ImageError) -> String {
    if let scheme { return scheme + "://" + endpoint.host }
    let secure = "https://" + endpoint.host
    let asking = RegistryRequest()
    do throws(ImageError) {
      _ = try await send(asking, secure + "/v2/", nil)
      scheme = "https"
      return secure
    } catch {
      guard endpoint.mayUsePlainHTTP, error.kind != .damaged else { throw error }
      let plain = "http://" + endpoint.host
      do throws(ImageError) { _ = try await send(asking, plain + "/v2/", nil) } catch _ { throw error }
      scheme = "http"
      return plain
    }
  }
}
