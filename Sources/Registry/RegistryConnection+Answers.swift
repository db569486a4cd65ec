import AsyncHTTPClient
import Formats
import Images
import NIOCore
import NIOHTTP1

extension RegistryConnection {
  /// The whole body of a small answer.
  func collect(_ response: HTTPClientResponse, limit: Int) async throws(ImageError) -> [UInt8] {
    var bytes: [UInt8] = []
    var stall = StallGuard(endpoint)
    do {
      for try await buffer in response.body {
        bytes += buffer.readableBytesView
        guard bytes.count <= limit else {
          throw ImageError(
            .damaged, "the registry \(reference.registry) answers with more than \(limit) bytes where less was due")
        }
        try stall.note(buffer.readableBytes)
      }
      return bytes
    } catch {
      throw NetworkFailure.explain(error, "", endpoint)
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
    let registry = reference.registry
    let name = reference.familiar
    let hint =
      endpoint.credentials == nil
      ? "give --creds or --authfile, or log in by `immure login \(registry)`" : "the credentials given are refused"
    switch (response.status.code, purpose) {
    case (401, .pull):
      return ImageError(
        .notFound,
        "the registry \(registry) does not let \(name) be pulled: there is no such image, or it wants to know who asks\(words); \(hint)"
      )
    case (401, .push): return ImageError("the registry \(registry) does not let \(name) be pushed\(words); \(hint)")
    case (401, .login), (403, .login):
      return ImageError("the registry \(registry) refuses this name and password\(words)")
    case (403, .pull): return ImageError("the registry \(registry) forbids to pull \(name)\(words)")
    case (403, .push): return ImageError("the registry \(registry) forbids to push \(name)\(words)")
    case (404, .pull): return ImageError(.notFound, "there is no image \(name) at \(registry)\(words)")
    case (404, .login): return ImageError("there is no registry at \(registry): it answers \(response.status) to /v2/")
    case (429, _):
      let wait = Self.wait(response).map { "in \($0) seconds" } ?? "later"
      return ImageError("the registry \(registry) has had too many requests\(words): try again \(wait)")
    case (507, .push): return ImageError("the registry \(registry) has no room left\(words)")
    default: return ImageError("the registry \(registry) answers \(response.status)\(words)")
    }
  }
}
