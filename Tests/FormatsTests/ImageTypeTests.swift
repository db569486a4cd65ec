import Formats
import Testing

private let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

@Suite struct ImageTypeTests {
  private static func descriptor(_ type: String, size: String = "10", extra: String = "") -> String {
    #"{"mediaType":"\#(type)","digest":"sha256:\#(digits)","size":\#(size)\#(extra)}"#
  }
  private static let config = descriptor(MediaType.ociConfiguration)
  private static let layer = descriptor(MediaType.ociLayerGzip)

  @Test func readsAManifest() throws {
    let docker = """
      {"schemaVersion":2,"mediaType":"\(MediaType.dockerManifest)","config":\(Self.descriptor(MediaType.dockerConfiguration)),
      "layers":[\(Self.descriptor(MediaType.dockerLayerGzip)),\(Self.descriptor(MediaType.ociLayerZstd))]}
      """
    guard case .manifest(let manifest) = try ImageDocument.parse(Array(docker.utf8), declared: MediaType.dockerManifest)
    else {
      Issue.record("not a manifest")
      return
    }
    #expect(manifest.layers.count == 2)
    #expect(try MediaType(manifest.layers[1].mediaType) == .layer(.zstd))
    // What is written is read back.
    guard case .manifest(let again) = try ImageDocument.parse(manifest.json.bytes()) else {
      Issue.record("not a manifest")
      return
    }
    #expect(again == manifest)
  }

  /// Documents that must be refused, and a part of the message.
  static let refused: [(String, String)] = [
    ("[]", "must be an object"),
    ("{}", "schemaVersion"),
    (#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
    (#"{"schemaVersion":3}"#, "schema version"),
    (#"{"schemaVersion":2}"#, "neither an index"),
    (#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "ambiguous"),
    (#"{"schemaVersion":2,"manifests":[],"config":{}}"#, "ambiguous"),
    (#"{"schemaVersion":2,"mediaType":"\#(MediaType.ociManifest)","manifests":[]}"#, "those of an index"),
    (
      #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","config":\#(config),"layers":[]}"#,
      "those of a manifest"
    ),
    (#"{"schemaVersion":2,"mediaType":"x","manifests":[]}"#, "is not a media type of an image"),
    (#"{"schemaVersion":2,"manifests":{}}"#, "must be an array"),
    (#"{"schemaVersion":2,"manifests":[{}]}"#, "manifests[0]: \"mediaType\" is missing"),
    (
      #"{"schemaVersion":2,"config":\#(config),"layers":[{"mediaType":"a","digest":"sha256:00","size":1}]}"#,
      "layers[0].digest"
    ),
    (
      #"{"schemaVersion":2,"config":\#(config),"layers":[\#(descriptor(MediaType.ociLayer, size: "-1"))]}"#,
      "layers[0].size: \"-1\""
    ),
    (
      #"{"schemaVersion":2,"config":\#(config),"layers":[\#(descriptor(MediaType.ociLayer, size: "1.5"))]}"#,
      "not an integer"
    ),
    (
      #"{"schemaVersion":2,"config":\#(config),"layers":[\#(descriptor(MediaType.ociLayer, size: "9223372036854775807"))]}"#,
      "is not a size"
    ),
    (
      #"{"schemaVersion":2,"config":\#(descriptor(MediaType.ociConfiguration, size: "99999999")),"layers":[]}"#,
      "config.size"
    ),
    (#"{"schemaVersion":2,"config":\#(layer),"layers":[]}"#, "has no place here"),
    (#"{"schemaVersion":2,"config":\#(config),"layers":[\#(config)]}"#, "has no place here"),
    (#"{"schemaVersion":2,"config":\#(descriptor("application/vnd.oci.empty.v1+json")),"layers":[]}"#, "artifact"),
    (
      #"{"schemaVersion":2,"config":\#(descriptor("application/vnd.cncf.helm.config.v1+json")),"layers":[]}"#,
      "artifact"
    ),
    (#"{"schemaVersion":2,"artifactType":"a/b","config":\#(config),"layers":[]}"#, "artifact"),
    (
      #"{"schemaVersion":2,"config":\#(config),"layers":[\#(descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"))]}"#,
      "foreign"
    ),
    (
      #"{"schemaVersion":2,"config":\#(config),"layers":[\#(descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"))]}"#,
      "foreign"
    ),
    (#"{"schemaVersion":2,"config":\#(config)}"#, "\"layers\" is missing"),
    (#"{"schemaVersion":2,"layers":[]}"#, "\"config\" is missing"),
    (#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#, "occurs twice"),
  ]

  @Test(arguments: refused) func refuses(_ text: String, _ message: String) {
    let error = #expect(throws: FormatError.self) { try ImageDocument.parse(Array(text.utf8)) }
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
  }

  @Test func declaredTypeMustAgree() {
    let text = #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[]}"#
    #expect(throws: FormatError.self) { try ImageDocument.parse(Array(text.utf8), declared: MediaType.ociManifest) }
    let silent = #"{"schemaVersion":2,"manifests":[]}"#
    #expect(throws: FormatError.self) { try ImageDocument.parse(Array(silent.utf8), declared: MediaType.ociManifest) }
    #expect(throws: Never.self) { try ImageDocument.parse(Array(silent.utf8), declared: MediaType.dockerIndex) }
  }

  @Test func choosesThePlatform() throws {
    func entry(_ platform: String, _ digit: String) -> String {
      #"{"mediaType":"\#(MediaType.ociManifest)","digest":"sha256:\#(String(repeating: digit, count: 64))","size":1,"platform":\#(platform)}"#
    }
    let text = """
      {"schemaVersion":2,"manifests":[
      \(entry(#"{"os":"unknown","architecture":"unknown"}"#, "0")),
      \(entry(#"{"os":"linux","architecture":"amd64"}"#, "1")),
      \(entry(#"{"os":"linux","architecture":"arm","variant":"v5"}"#, "2")),
      \(entry(#"{"os":"linux","architecture":"arm","variant":"v6"}"#, "3")),
      \(entry(#"{"os":"linux","architecture":"arm64","variant":"v8"}"#, "4")),
      \(entry(#"{"os":"linux","architecture":"amd64","variant":"v3"}"#, "5"))]}
      """
    guard case .index(let index) = try ImageDocument.parse(Array(text.utf8)) else {
      Issue.record("not an index")
      return
    }
    for (wanted, digit) in [
      ("linux/amd64", "1"), ("linux/amd64/v2", "1"), ("linux/amd64/v4", "5"), ("linux/arm", "3"), ("linux/arm/v5", "2"),
      ("linux/arm64", "4"),
    ] {
      #expect(try index.manifest(for: Platform(wanted)).digest.hex.first.map(String.init) == digit, "\(wanted)")
    }
    let error = #expect(throws: FormatError.self) { try index.manifest(for: Platform("linux/riscv64")) }
    #expect(error?.description.contains("it has linux/amd64, linux/arm/v5") == true)
  }

  /// Whatever a registry writes, a message is one line that a terminal only prints.
  @Test func messagesAreHarmless() throws {
    let entry = Self.descriptor(
      MediaType.ociManifest, extra: #","platform":{"os":"li\u001b[2Jnux","architecture":"a\nb"}"#)
    guard case .index(let index) = try ImageDocument.parse(Array(#"{"schemaVersion":2,"manifests":[\#(entry)]}"#.utf8))
    else {
      Issue.record("not an index")
      return
    }
    let error = #expect(throws: FormatError.self) { try index.manifest(for: Platform("linux/amd64")) }
    #expect(error?.description.utf8.contains { $0 < 0x20 } == false)
    #expect(error?.description.contains(#"li\u{1b}[2Jnux/a\nb"#) == true)
    let type = #"{"schemaVersion":2,"mediaType":"x\u0007\u202e","manifests":[]}"#
    let other = #expect(throws: FormatError.self) { try ImageDocument.parse(Array(type.utf8), declared: "\u{1b}c") }
    #expect(other?.description.utf8.contains { $0 < 0x20 } == false)
    #expect(other?.description.contains(#"x\u{7}\u{202e}"#) == true)
  }

  @Test func manyFieldsAreNotQuadratic() throws {
    var text = #"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"Volumes":{"/":{}"#
    for index in 0..<40_000 { text += #","/\#(index)":{}"# }
    let configuration = try ImageConfiguration.parse(Array((text + "}}}").utf8))
    #expect(try ImageConfiguration.parse(configuration.json.bytes()).volumes.count == 40_001)
  }

  @Test func readsAndWritesAConfiguration() throws {
    let text = """
      {"architecture":"arm64","variant":"v8","os":"linux","created":"2024-01-01T00:00:00Z","unknown":1,"config":{
      "Env":["PATH=/bin","A=b=c","E="],"Cmd":["sh","-c","x"],"Entrypoint":null,"User":"1:2","WorkingDir":"/w",
      "ExposedPorts":{"80/tcp":{},"53/udp":{},"1-2":{}},"Volumes":{"/v":{}},"Labels":{"b":"2","a":"1"},
      "StopSignal":"SIGINT","Healthcheck":{"Test":["NONE"]},"OnBuild":null,"ArgsEscaped":false},
      "rootfs":{"type":"layers","diff_ids":["sha256:\(digits)"]},
      "history":[{"created_by":"x","empty_layer":true},{"comment":"y"}]}
      """
    let configuration = try ImageConfiguration.parse(Array(text.utf8))
    #expect(configuration.platform.description == "linux/arm64")
    #expect(configuration.environment == ["PATH=/bin", "A=b=c", "E="])
    #expect(configuration.command == ["sh", "-c", "x"])
    #expect(configuration.entrypoint.isEmpty)
    #expect(configuration.user == "1:2")
    #expect(configuration.exposedPorts == ["1-2", "53/udp", "80/tcp"])
    #expect(configuration.volumes == ["/v"])
    #expect(configuration.labels == ["a": "1", "b": "2"])
    #expect(configuration.stopSignal == "SIGINT")
    #expect(configuration.unsupportedFields == ["Healthcheck"])
    #expect(configuration.diffIDs == [try Digest("sha256:" + digits)])
    #expect(configuration.history.map(\.isEmptyLayer) == [true, false])

    var kept = try ImageConfiguration.parse(configuration.json.bytes())
    #expect(kept.json.bytes() == configuration.json.bytes())
    kept.unsupportedFields = configuration.unsupportedFields
    #expect(kept == configuration)
  }

  @Test(arguments: [
    (#"{"os":"linux","rootfs":{"type":"layers"}}"#, "architecture"),
    (#"{"os":"linux","architecture":"a"}"#, "rootfs"),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"x"}}"#, "rootfs.type: \"x\""),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"layers","diff_ids":["md5:1"]}}"#, "rootfs.diff_ids[0]"),
    (
      #"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"Env":["A=1","B"]}}"#,
      "config.Env[1]: \"B\""
    ),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"Env":["=x"]}}"#, "config.Env[0]"),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"Cmd":"sh"}}"#, "config.Cmd"),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"Cmd":["a\u0000"]}}"#, "NUL"),
    (
      #"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"ExposedPorts":{"0":{}}}}"#,
      "is not a port"
    ),
    (
      #"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"ExposedPorts":{"9-8/tcp":{}}}}"#,
      "is not a port"
    ),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"Volumes":{"v":{}}}}"#, "absolute"),
    (#"{"os":"linux","architecture":"a","rootfs":{"type":"layers"},"config":{"User":7}}"#, "config.User"),
  ]) func refusesConfigurations(_ text: String, _ message: String) {
    let error = #expect(throws: FormatError.self) { try ImageConfiguration.parse(Array(text.utf8)) }
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
  }
}
