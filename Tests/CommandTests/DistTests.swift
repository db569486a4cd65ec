import ChildProcesses
import Foundation
import Testing

/// What `make dist` makes, from the executables under test.
@Suite(
  "The archives", .enabled(if: Immure.isBuilt, Immure.whyNot), .enabled(if: Immure.isRoot, "a new root is made by root")
)
struct DistTests {
  static let top = DocumentationTests.top

  /// Debug executables are dynamic and are not packed.
  static let areStatic: Bool = {
    guard let folder = Immure.folder else { return false }
    return ["immure", "immure-front"].allSatisfy { name in
      guard FileManager.default.isExecutableFile(atPath: folder + "/" + name) else { return false }
      let headers = try? Immure.command(["readelf", "-l", folder + "/" + name])
      return headers?.status == 0 && headers?.output.contains("INTERP") == false
    }
  }()

  static func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  @Test(
    "the tar runs where there is no glibc and no Swift, and the .deb holds the same",
    .enabled(if: areStatic, "the executables are not static: `make build` makes them, in release"),
    .enabled(if: has("/usr/bin/musl-gcc") && has("/bin/busybox"), "musl-tools and busybox-static are not installed"))
  func archives() throws {
    let folder = NSTemporaryDirectory() + "immure-dist-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let made = try Immure.command(
      ["Scripts/dist.sh", Immure.folder ?? "", folder], folder: Self.top.path, seconds: 180)
    try #require(made.status == 0, "\(made.error)")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    let tar = try #require(names.first { $0.hasSuffix(".tar.gz") })
    let package = try #require(names.first { $0.hasSuffix(".deb") })

    let listing = try Immure.command(["tar", "-tzf", folder + "/" + tar]).output
    let packed = try Immure.command(["dpkg-deb", "-c", folder + "/" + package]).output
    for name in [
      "bin/immure", "libexec/immure-front", "share/man/man1/immure.1", "share/man/man1/immure-run.1",
      "share/bash-completion/completions/immure", "share/zsh/site-functions/_immure",
      "share/fish/vendor_completions.d/immure.fish", "share/immure/policies/untrusted.toml",
      "share/doc/immure/README.md", "share/doc/immure/copyright",
      "share/doc/immure/walls/container.md",
    ] {
      #expect(listing.contains("/\(name)\n"), "\(tar) lacks \(name)")
      let inPackage = name.contains("/man1/") ? name + ".gz" : name
      #expect(packed.contains("./usr/\(inPackage)\n"), "\(package) lacks \(inPackage)")
    }
    let fields = try Immure.command(["dpkg-deb", "-f", folder + "/" + package]).output
    #expect(fields.contains("Package: immure\n") && !fields.contains("Depends:"), "\(fields)")

    let tried = try Immure.command(
      [Self.top.path + "/Scripts/test-dist.sh", folder + "/" + tar], seconds: 180)
    #expect(tried.status == 0, "\(tried.output)\(tried.error)")
    for who in ["root", "user"] {
      #expect(tried.output.contains("\(who): run -- /bin/true\n"), "\(tried.output)\(tried.error)")
      #expect(tried.output.contains("\(who): import, run little\n"), "\(tried.output)\(tried.error)")
    }
  }

  @Test(
    "the names of OCI runtimes speak the runtime's dialect",
    arguments: ["immure-oci", "immure-container", "immure-jail", "immure-sentry"])
  func links(_ name: String) throws {
    let folder = NSTemporaryDirectory() + "immure-link-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createSymbolicLink(atPath: folder + "/" + name, withDestinationPath: Immure.path)
    let result = try Immure.command([folder + "/" + name, "--root", folder + "/state", "state", "absent"])
    #expect(result.status == 1)
    #expect(result.error.contains("container does not exist"), "\(result.error)")
  }
}
