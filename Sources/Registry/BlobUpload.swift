import AsyncHTTPClient
import Formats
import Images
import NIOCore
import NIOHTTP1

/// One blob on its way into a repository (distribution-spec 1.1, "Pushing blobs"): not at all where it is there, mounted from another repository
/// where one has it, in one request where it is small, else as a stream that is taken up again where it broke.
struct BlobUpload {
  enum Outcome: Sendable {
    case wasThere
    case mounted(from: String)
    case uploaded
  }

  /// Blobs up to this size go along with the request that ends the upload.
  private static let monolithic: Int64 = 1 << 20

  let connection: RegistryConnection
  let descriptor: Descriptor
  /// Repositories of the registry that are known to hold it.
  let holders: [String]
  /// Its bytes from an offset on.
  let open: @Sendable (Int64) throws(ImageError) -> BlobStream
  let progress: any Progress

  func run() async throws(ImageError) -> Outcome {
    if try await isThere() { return .wasThere }
    var mounts = holders.filter { $0 != connection.reference.repository }[...].prefix(2)
    var failures = 0
    while true {
      let from = mounts.popFirst()
      // A refused mount is the beginning of an upload (201 and 202).
      guard let begun = try await begin(from) else { return .mounted(from: from ?? "") }
      if from != nil, !mounts.isEmpty {
        await cancel(begun)
        continue
      }
      do throws(ImageError) {
        try await upload(to: begun)
        return .uploaded
      } catch {
        failures += 1
        guard error.kind == .failed, failures <= connection.endpoint.retries else { throw error }
        progress.say("layer \(descriptor.digest.short): \(error); beginning again")
        await RegistryConnection.pause(failures)
      }
    }
  }

  /// What spares the bytes: the registry has it, here or in another repository. Nil where they are wanted.
  func withoutBytes() async throws(ImageError) -> Outcome? {
    if try await isThere() { return .wasThere }
    for from in holders.filter({ $0 != connection.reference.repository }).prefix(2) {
      guard let begun = try await begin(from) else { return .mounted(from: from) }
      await cancel(begun)
    }
    return nil
  }

  private func isThere() async throws(ImageError) -> Bool {
    let response = try await connection.request(RegistryRequest(method: .HEAD), "/blobs/\(descriptor.digest)")
    switch response.status.code {
    case 200:
      guard let told = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }) else { return true }
      guard told == descriptor.size else {
        throw ImageError(
          .damaged,
          "the registry \(connection.reference.registry) has \(told) bytes as \(descriptor.digest), which has \(descriptor.size)"
        )
      }
      return true
    case 404: return false
    default: throw await connection.refusal(response)
    }
  }

  /// Where to upload; nil where the blob was mounted.
  private func begin(_ from: String?) async throws(ImageError) -> URLParts? {
    let mount = from.map {
      "?mount=" + URLParts.escaped(descriptor.digest.description) + "&from=" + URLParts.escaped($0)
    }
    let response = try await connection.request(
      RegistryRequest(method: .POST, headers: ["Content-Length": "0"]), "/blobs/uploads/" + (mount ?? ""))
    switch response.status.code {
    case 201 where from != nil: return nil
    case 202: return try await next(response, after: nil)
    // Some refuse to look into another repository at all.
    case 401, 403,
      404 where from != nil, 405 where from != nil:
      if from != nil { return try await begin(nil) }
      throw await connection.refusal(response)
    default: throw await connection.refusal(response)
    }
  }

  /// The `Location` of an answer, which may be another each time.
  private func next(_ response: HTTPClientResponse, after place: URLParts?) async throws(ImageError) -> URLParts {
    let base = try await connection.base()
    guard let location = response.headers.first(name: "Location") else {
      if let place { return place }
      throw ImageError(.damaged, "the registry \(connection.reference.registry) begins an upload without saying where")
    }
    guard let parts = URLParts(location, relativeTo: place?.text ?? base + "/v2/") else {
      throw ImageError(
        .damaged,
        "the registry \(connection.reference.registry) wants the upload at \"\(FormatError.presentable(location))\", which is no URL"
      )
    }
    guard parts.scheme == "https" || base.hasPrefix("http:") else {
      throw ImageError(
        .damaged,
        "the registry \(connection.reference.registry) wants the upload at \(FormatError.presentable(location)), which is not https: refused"
      )
    }
    return parts
  }

  private func upload(to begun: URLParts) async throws(ImageError) {
    var place = begun
    if descriptor.size > Self.monolithic { place = try await stream(to: begun) }
    let separator = place.hasQuery ? "&" : "?"
    let url = place.text + separator + "digest=" + URLParts.escaped(descriptor.digest.description)
    var attempts = 0
    while true {
      attempts += 1
      var request = RegistryRequest(method: .PUT)
      if descriptor.size <= Self.monolithic {
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        request.body = .stream(try open(0))
      } else {
        request.headers.add(name: "Content-Length", value: "0")
      }
      let response = try await connection.request(request, at: url)
      if response.status == .unauthorized, attempts == 1 { continue }
      guard response.status == .created || response.status == .noContent else { throw await refusal(response) }
      return
    }
  }

  /// Sends all bytes, taken up again where the registry says it has got to.
  private func stream(to begun: URLParts) async throws(ImageError) -> URLParts {
    var place = begun
    var offset: Int64 = 0
    var failures = 0
    while true {
      do throws(ImageError) {
        var request = RegistryRequest(method: .PATCH)
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        if offset > 0 {
          request.headers.add(name: "Content-Range", value: "\(offset)-\(descriptor.size - 1)")
        }
        request.body = .stream(try open(offset))
        let response = try await connection.request(request, at: place.text)
        switch response.status.code {
        case 202, 204: return try await next(response, after: place)
        case 401: throw ImageError("who asks has to be proved again")
        case 408, 416, 429, 500, 502, 503, 504: throw await refusal(response)
        default: throw ImageError(.usage, "\(await refusal(response))")
        }
      } catch {
        failures += 1
        guard error.kind == .failed, failures <= max(1, connection.endpoint.retries) else { throw error }
        await RegistryConnection.pause(failures)
        let reached = try await state(of: &place)
        progress.say("layer \(descriptor.digest.short): \(error); going on after \(reached) bytes")
        if reached > offset { failures = 1 }
        offset = reached
      }
    }
  }

  /// How far an upload has come; one that is not there any more begins again elsewhere (`run`).
  private func state(of place: inout URLParts) async throws(ImageError) -> Int64 {
    let response = try await connection.request(RegistryRequest(), at: place.text)
    guard response.status == .noContent || response.status == .accepted else { throw await refusal(response) }
    place = try await next(response, after: place)
    guard let header = response.headers.first(name: "Range") else { return 0 }
    guard let range = try? ByteRange(header), range.first == 0, range.last < descriptor.size else {
      throw ImageError(
        .damaged,
        "the registry \(connection.reference.registry) has \"\(FormatError.presentable(header))\" of an upload")
    }
    // Nothing at all is told as 0-0 by the registry that most are made of, as is one byte.
    return range.last == 0 ? 0 : range.last + 1
  }

  private func cancel(_ place: URLParts) async {
    // It ends by itself too.
    _ = try? await connection.request(RegistryRequest(method: .DELETE), at: place.text)
  }

  /// A failed upload; a digest that is refused means that the bytes here are not what they were.
  private func refusal(_ response: HTTPClientResponse) async -> ImageError {
    let error = await connection.refusal(response)
    return response.status == .badRequest ? ImageError(.damaged, "layer \(descriptor.digest.short): \(error)") : error
  }
}
