import AsyncHTTPClient
public import Formats
public import Images
import NIOCore
import NIOHTTP1

/// Images from a registry (OCI distribution-spec 1.1, Docker registry API v2) into the store.
public enum RegistrySource {
  /// Layers that come in at a time.
  private static let parallel = 3

  /// Fetches an image and gives it its name. The caller holds `ImageStore.beginAdding`.
  /// - Parameter endpoints: where to ask, in order: mirrors before the registry itself (`RegistryAccess.sources`).
  public static func install(
    _ reference: ImageReference, from endpoints: [RegistryEndpoint], platform: Platform, in store: ImageStore,
    _ progress: any Progress
  ) async throws(ImageError) -> ImagePlan {
    PartialBlob.clear(store)
    var connections: [RegistryConnection] = []
    for endpoint in endpoints { connections.append(try RegistryConnection(endpoint, for: .pull)) }
    do throws(ImageError) {
      let plan = try await install(reference, platform, connections, store, progress)
      for connection in connections { await connection.close() }
      return plan
    } catch {
      for connection in connections { await connection.close() }
      throw error
    }
  }

  private static func install(
    _ reference: ImageReference, _ platform: Platform, _ connections: [RegistryConnection], _ store: ImageStore,
    _ progress: any Progress
  ) async throws(ImageError) -> ImagePlan {
    // The first that has the image gives its blobs too; the others step in where it does not.
    var order = connections
    let (digest, bytes, manifest) = try await first(&order, progress) { connection async throws(ImageError) in
      try await self.manifest(connection.reference, platform, connection)
    }
    let configuration: [UInt8]
    if let known = try store.blob(manifest.configuration.digest) {
      configuration = known
    } else {
      var places = order
      configuration = try await first(&places, progress) { connection async throws(ImageError) in
        let bytes = try await smallBlob(manifest.configuration, connection)
        guard Digest.of(bytes) == manifest.configuration.digest else {
          throw ImageError(
            .damaged,
            "the registry \(connection.reference.registry) sent \(Digest.of(bytes)) where the configuration \(manifest.configuration.digest) was asked for: refused"
          )
        }
        return bytes
      }
    }
    let plan = try ImagePlan(
      manifestDigest: digest, manifestBytes: bytes, configurationBytes: configuration, in: store,
      of: reference.familiar)
    let places = order
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, layer) in plan.layers.enumerated() {
          if index >= parallel { try await group.next() }
          group.addTask { try await fetch(layer, of: plan, places, store, progress) }
        }
        try await group.waitForAll()
      }
    } catch {
      throw error as? ImageError ?? ImageError("\(error)")
    }
    try plan.name(.reference(reference), in: store)
    return plan
  }

  /// Asks one place after the other; that which answered comes first from then on. The last one's failure is the failure.
  private static func first<Answer>(
    _ places: inout [RegistryConnection], _ progress: any Progress,
    _ ask: (RegistryConnection) async throws(ImageError) -> Answer
  ) async throws(ImageError) -> Answer {
    for (index, connection) in places.enumerated() {
      do throws(ImageError) {
        let answer = try await ask(connection)
        places.remove(at: index)
        places.insert(connection, at: 0)
        return answer
      } catch {
        if index == places.count - 1 { throw error }
        progress.say("\(connection.reference.name): \(error); asking \(places[index + 1].reference.name)")
      }
    }
    throw ImageError("there is nowhere to ask")
  }

  // MARK: Manifests

  /// The manifest for a platform: indexes are followed, three deep.
  private static func manifest(
    _ reference: ImageReference, _ platform: Platform, _ connection: RegistryConnection
  ) async throws(ImageError) -> (Digest, [UInt8], ImageManifest) {
    var wanted = reference.digest.map { $0.description } ?? reference.tag ?? "latest"
    var announced: Descriptor?
    var expected = reference.digest
    for _ in 0..<4 {
      var headers = HTTPHeaders()
      for type in MediaType.acceptedManifests { headers.add(name: "Accept", value: type) }
      let response = try await connection.get("/manifests/" + wanted, headers: headers)
      guard response.status == .ok else { throw await connection.refusal(response) }
      let bytes = try await connection.collect(response, limit: Int(Descriptor.maximumManifestSize))
      let digest = Digest.of(bytes)
      if let expected, expected != digest {
        throw ImageError(
          .damaged, "the registry \(reference.registry) sent \(digest) where \(expected) was asked for: refused")
      }
      if let told = response.headers.first(name: "Docker-Content-Digest"), told.hasPrefix("sha256:"),
        told != digest.description
      {
        throw ImageError(
          .damaged,
          "the registry \(reference.registry) sent \(digest) and calls it \(FormatError.presentable(told)): refused")
      }
      if let announced, announced.size != Int64(bytes.count) {
        throw ImageError(
          .damaged,
          "the registry \(reference.registry) sent \(bytes.count) bytes for \(digest) where \(announced.size) were announced"
        )
      }
      let declared = announced?.mediaType ?? contentType(response)
      let document: ImageDocument
      do throws(FormatError) {
        document = try ImageDocument.parse(bytes, declared: declared, source: reference.familiar)
      } catch { throw ImageError("image", error) }
      switch document {
      case .manifest(let manifest): return (digest, bytes, manifest)
      case .index(let index):
        let next: Descriptor
        do throws(FormatError) { next = try index.manifest(for: platform) } catch {
          throw ImageError(.notFound, "image \(reference.familiar): \(error)")
        }
        announced = next
        expected = next.digest
        wanted = next.digest.description
      }
    }
    throw ImageError(.damaged, "image \(reference.familiar) nests indexes more than three deep")
  }

  /// The media type that the registry declares; general ones say nothing.
  private static func contentType(_ response: HTTPClientResponse) -> String? {
    guard let header = response.headers.first(name: "Content-Type") else { return nil }
    let type = String(header.prefix { $0 != ";" && $0 != " " }).lowercased()
    return ["application/json", "text/plain", "application/octet-stream", ""].contains(type) ? nil : type
  }

  private static func smallBlob(
    _ descriptor: Descriptor, _ connection: RegistryConnection
  ) async throws(ImageError) -> [UInt8] {
    let response = try await connection.get("/blobs/\(descriptor.digest)")
    guard response.status == .ok else { throw await connection.refusal(response) }
    return try await connection.collect(response, limit: Int(Descriptor.maximumConfigurationSize))
  }

  // MARK: Layers

  private static func fetch(
    _ layer: (descriptor: Descriptor, diffID: Digest), of plan: ImagePlan, _ places: [RegistryConnection],
    _ store: ImageStore, _ progress: any Progress
  ) async throws(ImageError) {
    guard var installation = try plan.begin(layer, in: store, progress) else { return }
    let part = PartialBlob.open(layer.descriptor, in: store)
    // A part that is longer than the layer, or is not its beginning, is refused like any other bytes, and is not there the next time.
    if let part {
      do throws(ImageError) {
        try part.replay { (chunk) throws(ImageError) in try installation.feed(chunk) }
      } catch {
        part.remove()
        throw error
      }
      if installation.count > 0 {
        progress.say("layer \(layer.descriptor.digest.short): \(installation.count) bytes were here already")
        progress.advance(layer.descriptor, to: installation.count)
      }
    }
    for (index, connection) in places.enumerated() {
      do throws(ImageError) {
        try await transfer(layer.descriptor, to: &installation, part, connection, progress)
        break
      } catch {
        if error.kind == .damaged { part?.remove() }
        // A damaged layer does not get better, and a full disk not emptier; another place may have what this one has not.
        guard error.kind != .damaged, installation.failure == nil, index < places.count - 1 else { throw error }
        progress.say("layer \(layer.descriptor.digest.short): \(error); asking \(places[index + 1].reference.name)")
      }
    }
    do throws(ImageError) { _ = try installation.finish(diffID: layer.diffID) } catch {
      part?.remove()
      throw error
    }
    part?.remove()
    progress.finish(layer.descriptor, isNew: true)
  }

  /// Passes all that is still to come of a blob on, taken up again where the connection breaks.
  private static func transfer(
    _ descriptor: Descriptor, to installation: inout LayerInstallation, _ part: PartialBlob?,
    _ connection: RegistryConnection, _ progress: any Progress
  ) async throws(ImageError) {
    var failures = 0
    var attempts = 0
    while installation.count < descriptor.size || attempts == 0 && descriptor.size == 0 {
      attempts += 1
      let before = installation.count
      do throws(ImageError) {
        try await feed(descriptor, to: &installation, part, connection, progress)
        if installation.count == descriptor.size { return }
        throw ImageError("the connection ended after \(installation.count) of \(descriptor.size) bytes")
      } catch {
        failures = installation.count > before ? 1 : failures + 1
        guard error.kind == .failed, installation.failure == nil, failures <= connection.endpoint.retries, attempts < 32
        else { throw error }
        progress.say("layer \(descriptor.digest.short): \(error); trying again")
        await RegistryConnection.pause(failures)
      }
    }
  }

  /// Asks for what is still to come of a blob and passes it on.
  private static func feed(
    _ descriptor: Descriptor, to installation: inout LayerInstallation, _ part: PartialBlob?,
    _ connection: RegistryConnection, _ progress: any Progress
  ) async throws(ImageError) {
    var headers = HTTPHeaders()
    let start = installation.count
    if start > 0 { headers.add(name: "Range", value: "bytes=\(start)-") }
    let response = try await connection.get("/blobs/\(descriptor.digest)", headers: headers)
    var skipped: Int64 = 0
    switch response.status {
    case .ok: skipped = start
    case .partialContent:
      let header = response.headers.first(name: "Content-Range") ?? ""
      guard let range = try? ContentRange(header), range.first == start,
        range.size ?? descriptor.size == descriptor.size
      else {
        throw ImageError(
          .damaged, "the registry sent the range \"\(FormatError.presentable(header))\" where \(start)- was asked for")
      }
    default: throw await connection.refusal(response)
    }
    if let told = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }),
      told != descriptor.size - (response.status == .ok ? 0 : start)
    {
      throw ImageError(
        .damaged,
        "the registry \(connection.reference.registry) announces \(told) bytes of the layer \(descriptor.digest.short), which has \(descriptor.size): refused"
      )
    }
    var stall = StallGuard(connection.endpoint)
    do {
      for try await buffer in response.body {
        var bytes = buffer
        try stall.note(buffer.readableBytes)
        if skipped > 0 {
          // A server that does not know ranges begins again: what was had is passed over, no more than that.
          let count = Int(min(skipped, Int64(bytes.readableBytes)))
          bytes.moveReaderIndex(forwardBy: count)
          skipped -= Int64(count)
        }
        if bytes.readableBytes == 0 { continue }
        try installation.feed(bytes.readableBytesUInt8Span)
        part?.append(bytes.readableBytesUInt8Span)
        progress.advance(descriptor, to: installation.count)
      }
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError(.failed, "\(NetworkFailure.explain(error, "", connection.endpoint))")
    }
  }
}
