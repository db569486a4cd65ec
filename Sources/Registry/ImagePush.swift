import AsyncHTTPClient
public import Formats
public import Images
import Linux
import NIOHTTP1

/// Images of the store into a registry (OCI distribution-spec 1.1, "Push"): blobs first, only those that are not there, the manifest last.
public struct ImagePush: ~Copyable, Sendable {
  /// Blobs on their way at a time.
  private static let parallel = 3

  private let reference: ImageReference
  private let parts: ImageParts
  private let layers: [any PushLayer]
  private let holders: [Digest: [String]]
  /// Kept from being removed meanwhile.
  private let lease: ImageLease

  /// Looks everything up; nothing is sent.
  public init(_ word: String, to reference: ImageReference, from store: ImageStore) throws(ImageError) {
    guard let image = try store.resolve(word) else { throw ImageStore.noSuchImage(word) }
    try self.init(image, to: reference, from: store)
  }

  /// One that need not have a name.
  public init(_ image: Image, to reference: ImageReference, from store: ImageStore) throws(ImageError) {
    guard reference.digest == nil else {
      throw ImageError(
        .usage, "\"\(reference.familiar)\" has a digest: an image is pushed to a tag, and its digest is what it is")
    }
    let lease = try store.lease(image)
    let parts = try store.parts(of: image)
    var layers: [any PushLayer] = []
    for (descriptor, diffID) in parts.layers where !layers.contains(where: { $0.original.digest == descriptor.digest })
    {
      layers.append(
        KeptPushLayer(KeptLayer(descriptor: descriptor, diffID: diffID, owner: image.name, store: store)))
    }
    let holders = try store.repositories(
      holding: Set(layers.map(\.original.digest) + [parts.manifest.configuration.digest]), at: reference.registry)
    self.reference = reference
    self.parts = parts
    self.layers = layers
    self.holders = holders
    self.lease = lease
  }

  /// Pushes it. - Returns: the digest of the manifest, by which the image can be pulled.
  public borrowing func run(
    to endpoint: RegistryEndpoint, _ progress: any Progress
  ) async throws(ImageError) -> Digest {
    let connection = try RegistryConnection(endpoint, for: .push)
    do throws(ImageError) {
      let digest = try await push(connection, progress)
      await connection.close()
      return digest
    } catch {
      await connection.close()
      throw error
    }
  }

  private borrowing func push(
    _ connection: RegistryConnection, _ progress: any Progress
  ) async throws(ImageError) -> Digest {
    await connection.mount(from: Set(holders.values.flatMap { $0.prefix(2) }))
    let replaced: [Digest: Descriptor]
    let uploads = layers
    let known = holders
    do {
      replaced = try await withThrowingTaskGroup(of: (Digest, Descriptor).self) { group in
        var replaced: [Digest: Descriptor] = [:]
        for (index, layer) in uploads.enumerated() {
          if index >= Self.parallel, let (original, pushed) = try await group.next() { replaced[original] = pushed }
          group.addTask {
            (layer.original.digest, try await Self.push(layer, known, connection, progress))
          }
        }
        for try await (original, pushed) in group { replaced[original] = pushed }
        return replaced
      }
    } catch {
      throw error as? ImageError ?? ImageError("\(error)")
    }
    let configuration = parts.configurationBytes
    _ = try await BlobUpload(
      connection: connection, descriptor: parts.manifest.configuration,
      holders: holders[parts.manifest.configuration.digest] ?? [],
      open: { offset throws(ImageError) in try Self.stream(configuration, from: offset) }, progress: progress
    ).run()
    return try await push(manifest(replaced), connection)
  }

  private static func push(
    _ layer: any PushLayer, _ holders: [Digest: [String]], _ connection: RegistryConnection, _ progress: any Progress
  ) async throws(ImageError) -> Descriptor {
    if !layer.isKept {
      let known = BlobUpload(
        connection: connection, descriptor: layer.original, holders: holders[layer.original.digest] ?? [],
        open: { offset throws(ImageError) in
          BlobStream(try layer.open(from: offset), count: layer.original.size - offset) { _ in }
        }, progress: progress)
      if let outcome = try await known.withoutBytes() {
        return tell(outcome, layer.original, progress)
      }
    }
    let descriptor = try layer.prepare()
    progress.begin(descriptor)
    let outcome = try await BlobUpload(
      connection: connection, descriptor: descriptor, holders: holders[descriptor.digest] ?? [],
      open: { offset throws(ImageError) in
        BlobStream(try layer.open(from: offset), count: descriptor.size - offset) {
          progress.advance(descriptor, to: offset + $0)
        }
      }, progress: progress
    ).run()
    return tell(outcome, descriptor, progress)
  }

  private static func tell(
    _ outcome: BlobUpload.Outcome, _ descriptor: Descriptor, _ progress: any Progress
  ) -> Descriptor {
    if case .mounted(let from) = outcome {
      progress.say("layer \(descriptor.digest.short): mounted from \(from)")
    }
    if case .uploaded = outcome {
      progress.finish(descriptor, isNew: true)
    } else {
      progress.finish(descriptor, isNew: false)
    }
    return descriptor
  }

  private static func stream(_ bytes: [UInt8], from offset: Int64) throws(ImageError) -> BlobStream {
    let file = try system("cannot hand a document on") { () throws(SystemError) in
      let file = try MemoryFile.create("document")
      try File.writeAll(file.rawValue, bytes.span.extracting(Int(offset)...))
      try File.rewind(file.rawValue)
      return file
    }
    return BlobStream(file, count: Int64(bytes.count) - offset) { _ in }
  }

  /// The manifest's own bytes; where a layer had to be compressed anew, the same with that layer's descriptor.
  private borrowing func manifest(_ replaced: [Digest: Descriptor]) throws(ImageError) -> [UInt8] {
    if replaced.allSatisfy({ $0.key == $0.value.digest }) { return parts.manifestBytes }
    do throws(FormatError) {
      guard case .object(var document) = try JSONValue.parse(parts.manifestBytes),
        case .array(var entries)? = document["layers"], entries.count == parts.manifest.layers.count
      else { throw FormatError("is no manifest") }
      for (index, layer) in parts.manifest.layers.enumerated() {
        guard let new = replaced[layer.digest], new.digest != layer.digest, case .object(var entry) = entries[index]
        else {
          continue
        }
        entry["mediaType"] = .string(new.mediaType)
        entry["digest"] = .string(new.digest.description)
        entry["size"] = .integer(new.size)
        entries[index] = .object(entry)
      }
      document["layers"] = .array(entries)
      return JSONValue.object(document).bytes()
    } catch { throw ImageError("the manifest of \(parts.image.name)", error) }
  }

  private borrowing func push(_ bytes: [UInt8], _ connection: RegistryConnection) async throws(ImageError) -> Digest {
    let digest = Digest.of(bytes)
    var type = MediaType.ociManifest
    if case .string(let own)? = (try? JSONValue.parse(bytes))?["mediaType"] { type = own }
    let response = try await connection.request(
      RegistryRequest(method: .PUT, headers: ["Content-Type": type], body: .bytes(bytes)),
      "/manifests/" + (reference.tag ?? "latest"))
    guard response.status == .created || response.status == .ok || response.status == .accepted else {
      throw await connection.refusal(response)
    }
    if let told = response.headers.first(name: "Docker-Content-Digest"), told.hasPrefix("sha256:"),
      told != digest.description
    {
      throw ImageError(
        .damaged,
        "the registry \(reference.registry) took \(digest) and calls it \(FormatError.presentable(told)): pull it before you trust it"
      )
    }
    return digest
  }
}

extension RegistryConnection {
  /// Blobs are mounted from other repositories, which a token must let be read.
  func mount(from repositories: Set<String>) {
    mountedFrom = repositories.filter { $0 != reference.repository }
  }
}
