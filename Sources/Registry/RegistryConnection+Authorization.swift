import AsyncHTTPClient
import Formats
import Images
import NIOHTTP1

extension RegistryConnection {
  /// Proves who asks to the registry itself, for `login`. - Returns: false where it lets everybody in, so that nothing is proved.
  func prove() async throws(ImageError) -> Bool {
    let response = try await request(RegistryRequest(), at: try await base() + "/v2/")
    guard response.status == .ok else { throw await refusal(response) }
    return authorization != nil
  }

  /// What is to be sent so that the registry knows who asks.
  func authorize(_ response: HTTPClientResponse, _ base: String) async throws(ImageError) -> String {
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
      guard let basic = endpoint.credentials?.basic else { throw await refusal(response) }
      guard base.hasPrefix("https:") || endpoint.mayUsePlainHTTP else { throw await refusal(response) }
      return basic
    }
    throw ImageError(
      "the registry \(reference.registry) wants to know who asks, in none of the ways known here (basic, bearer)")
  }

  /// What the token must allow (distribution's token scopes): the repository, those that blobs come from, and what the challenge names.
  private func scopes(_ challenged: String?) -> [String] {
    var scopes: [String] = []
    switch purpose {
    case .pull: scopes.append("repository:\(reference.repository):pull")
    case .push: scopes.append("repository:\(reference.repository):pull,push")
    case .login: break
    }
    scopes += mountedFrom.sorted().map { "repository:\($0):pull" }
    for scope in challenged?.split(separator: " ") ?? [] where !scopes.contains(String(scope)) {
      // Less than what is asked for already, or the same in another order.
      let own = "repository:\(reference.repository):"
      if purpose == .push, [own + "pull", own + "push", own + "push,pull"].contains(String(scope)) { continue }
      scopes.append(String(scope))
    }
    return scopes
  }

  /// A bearer token (distribution's token authentication; OAuth 2 where a refresh token is known).
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
    let scopes = scopes(challenge.parameters["scope"])
    let service = challenge.parameters["service"]
    let response: HTTPClientResponse
    if case .identityToken(let refresh) = endpoint.credentials {
      var form = "grant_type=refresh_token&client_id=immure&refresh_token=" + URLParts.escaped(refresh)
      if !scopes.isEmpty { form += "&scope=" + URLParts.escaped(scopes.joined(separator: " ")) }
      if let service { form += "&service=" + URLParts.escaped(service) }
      response = try await send(
        RegistryRequest(
          method: .POST, headers: ["Content-Type": "application/x-www-form-urlencoded"], body: .bytes(Array(form.utf8))),
        place.text, nil)
    } else {
      var query = scopes.map { "scope=" + URLParts.escaped($0) }
      if let service { query.append("service=" + URLParts.escaped(service)) }
      if let user = endpoint.credentials?.user { query.append("account=" + URLParts.escaped(user)) }
      let joined = query.isEmpty ? "" : (place.hasQuery ? "&" : "?") + query.joined(separator: "&")
      response = try await send(RegistryRequest(), place.text + joined, endpoint.credentials?.basic)
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
}
