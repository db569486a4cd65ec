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
  public static func install(
    _ reference: ImageReference, platform: Platform, _ options: RegistryOptions, in store: ImageStore,
    _ progress: any Progress
  ) async throws(ImageError) -> ImagePlan {
    let connection = try RegistryConnection(reference, options)
    do throws(ImageError) {
      let plan = try await install(reference, platform, connection, store, progress)
      await connection.close()
      return plan
    } catch {
      await connection.close()
      throw error
    }
  }

  private static func install(
    _ reference: ImageReference, _ platform: Platform, _ connection: RegistryConnection, _ store: ImageStore,
    _ progress: any Progress
  ) async throws(ImageError) -> ImagePlan {
    let (digest, bytes, manifest) = try await manifest(reference, platform, connection)
    let configuration: [UInt8]
    if let known = try store.blob(manifest.configuration.digest) {
      configuration = known
    } else {
      configuration = try await smallBlob(manifest.configuration, connection)
    }
    let plan = try ImagePlan(
      manifestDigest: digest, manifestBytes: bytes, configurationBytes: configuration, in: store,
      of: reference.familiar)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, layer) in plan.layers.enumerated() {
          if index >= parallel { try await group.next() }
          group.addTask { try await fetch(layer, of: plan, connection, store, progress) }
        }
        try await group.waitForAll()
      }
    } catch {
      throw error as? ImageError ?? ImageError("\(error)")
    }
    try plan.name(.reference(reference), in: store)
    return plan
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
    // `ImageStore.keep` verifies size and digest.
    return try await connection.collect(response, limit: Int(Descriptor.maximumConfigurationSize))
  }

  // MARK: Layers

  private static func fetch(
    _ layer: (descriptor: Descriptor, diffID: Digest), of plan: ImagePlan, _ connection: RegistryConnection,
    _ store: ImageStore, _ progress: any Progress
  ) async throws(ImageError) {
    guard var installation = try plan.begin(layer, in: store, progress) else { return }
    var failures = 0
    var attempts = 0
    while true {
      attempts += 1
      let before = installation.count
      do throws(ImageError) {
        try await feed(layer.descriptor, to: &installation, connection, progress)
        if installation.count == layer.descriptor.size { break }
        throw ImageError("the connection ended after \(installation.count) of \(layer.descriptor.size) bytes")
      } catch {
        // What was verified stays verified: the rest is asked for. A damaged layer does not get better.
        failures = installation.count > before ? 1 : failures + 1
        guard error.kind == .failed, installation.failure == nil, failures < 5, attempts < 32 else { throw error }
        progress.say("layer \(layer.descriptor.digest.short): \(error); trying again")
        await RegistryConnection.pause(failures)
      }
    }
    _ = try installation.finish(diffID: layer.diffID)
    progress.finish(layer.descriptor, isNew: true)
  }

  /// Asks for what is still to come of a blob and passes it on.
  private static func feed(
    _ descriptor: Descriptor, to installation: inout LayerInstallation, _ connection: RegistryConnection,
    _ progress: any Progress
  ) async throws(ImageError) {
    var headers = HTTPHeaders()
    let start = installation.count
    if start > 0 { headers.add(name: "Range", value: "bytes=\(start)-") }
    let response = try await connection.get("/blobs/\(descriptor.digest)", headers: headers)
    var skipped: Int64 = 0
    switch response.status {
    case .ok: skipped = start
    case .partialContent:
      let range = response.headers.first(name: "Content-Range") ?? ""
      guard range.hasPrefix("bytes \(start)-") else {
        throw ImageError(
          .damaged, "the registry sent the range \"\(FormatError.presentable(range))\" where \(start)- was asked for")
      }
    default: throw await connection.refusal(response)
    }
    do {
      for try await buffer in response.body {
        var bytes = buffer
        if skipped > 0 {
          // A server that does not know ranges begins again: what was had is passed over, no more than that.
          let count = Int(min(skipped, Int64(bytes.readableBytes)))
          bytes.moveReaderIndex(forwardBy: count)
          skipped -= Int64(count)
        }
        if bytes.readableBytes == 0 { continue }
        try installation.feed(bytes.readableBytesUInt8Span)
        progress.advance(descriptor, to: installation.count)
      }
    } catch let error as ImageError {
      throw error
    } catch {
      throw ImageError(.failed, "\(NetworkFailure.explain(error, connection.reference.registry, connection.reference))")
    }
  }
}
