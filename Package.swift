// swift-tools-version: 6.2
import PackageDescription

let root = Context.packageDirectory
/// `IMMURE_PARTS=core` leaves the network front and its dependencies out: seconds instead of minutes while working on a wall.
let core = Context.environment["IMMURE_PARTS"] == "core"
/// `IMMURE_FUZZ=1` builds the pure parsers with libFuzzer and AddressSanitizer (`make fuzz`).
let fuzzing = Context.environment["IMMURE_FUZZ"] == "1"

/// `IMMURE_ISAL=1`: layers are inflated by ISA-L, whose static library Scripts/isal.sh left in .deps/lib (`make build`); zlib does it otherwise.
let isal = Context.environment["IMMURE_ISAL"] == "1"

let sanitize: [SwiftSetting] = fuzzing ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : []
let strict: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
  // One view of glibc's structs in CLinux and in NIO's C modules (fd_set differs otherwise).
  .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"]),
  // So that the linker can lay functions out in the order that a start calls them (`hotLink`).
  .unsafeFlags(["-Xfrontend", "-function-sections"], .when(configuration: .release)),
]
/// For what `immure` links: a generic type is had by calls, and not by decoding its name, which costs 20 to 50 µs at the first use of each and may
/// search every conformance of the program.
let typesByCalls: [SwiftSetting] = [
  .unsafeFlags(
    ["-Xfrontend", "-disable-concrete-type-metadata-mangled-name-accessors"], .when(configuration: .release))
]
let linkedIntoImmure: Set<String> = [
  "Formats", "Linux", "Seccomp", "Policy", "Trees", "Walls", "BoxNetwork", "Workspace", "Supervision", "Confinement",
  "Guest", "Jail", "Container", "Images", "Trace", "Options", "OCI", "Launch",
]
/// Release executables are static; debug and test builds stay dynamic.
let staticLink: [LinkerSetting] = [
  .unsafeFlags(
    ["-static-executable", "-use-ld=lld", "-Xlinker", "-s", "-Xlinker", "--gc-sections"],
    .when(configuration: .release))
]
/// `IMMURE_LINK_ORDER=FILE`: the functions of a start side by side, so that it touches fewer pages (`make build`, Scripts/link-order.sh).
let order = Context.environment["IMMURE_LINK_ORDER"] ?? ""
let hotLink: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-Xlinker", "--Map=\(root)/.deps/immure.map", "-Xlinker", "--no-demangle",
      // Before glibc's own beginning (Sources/CLinux/start.c).
      "-Xlinker", "-e", "-Xlinker", "immure_entry",
      "-Xlinker", "-T", "-Xlinker", "\(root)/Scripts/link-layout.ld",
    ]
      + (order.isEmpty
        ? []
        : ["-Xlinker", "--symbol-ordering-file=\(root)/\(order)", "-Xlinker", "--no-warn-symbol-ordering"]),
    .when(configuration: .release))
]
/// Not autolinked in a static executable; wanted once FoundationEssentials is reachable.
let staticFoundation: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-lFoundationEssentials", "-l_FoundationCollections", "-l_FoundationCShims",
      "-lswiftSynchronization",
    ],
    .when(configuration: .release))
]
let fuzzLink: [LinkerSetting] = [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]

/// What the words of a sentry's guests reach: as the pure parsers, seen through by libFuzzer.
func servesGuests(_ name: String) -> Bool { name.hasPrefix("Sentry") && name != "SentryPlatform" }
func module(_ name: String, _ dependencies: [Target.Dependency] = [], pure: Bool = false) -> Target {
  .target(
    name: name, dependencies: dependencies,
    swiftSettings: strict + (pure || servesGuests(name) ? sanitize : [])
      + (linkedIntoImmure.contains(name) || name.hasPrefix("Sentry") ? typesByCalls : []))
}
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(name: name + "Tests", dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}
func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: ["CFuzz"] + dependencies, path: "Fuzz/\(name)",
    swiftSettings: strict + sanitize, linkerSettings: fuzzLink)
}

/// The house, bottom first: a target may depend on targets above its own line only (HouseTests holds it).
let house: [Target] = [
  module("Formats", pure: true),
  .target(name: "CLinux"),
  module("Linux", ["CLinux"]),
  module("Seccomp", ["Formats"], pure: true),
  module("Policy", ["Formats"], pure: true),
  module("Trees", ["Linux", "CLinux", "Formats"]),
  module("Walls", ["Formats", "Linux", "Policy", "Trees"]),
  module("BoxNetwork", ["Walls", "Policy", "Linux", "Formats"]),
  module("Workspace", ["Walls", "Trees", "Policy", "Linux", "Formats"]),
  module("Supervision", ["Walls", "Policy", "Linux", "Formats"]),
  .target(
    name: "CGuest",
    cSettings: [
      .define("IMMURE_GUEST_INIT", to: "\"\(root)/.deps/guest/init\""),
      .define("IMMURE_GUEST_STUB", to: "\"\(root)/.deps/guest/stub\""),
    ]),
  module("Guest", ["CGuest", "Linux", "Formats"]),
  module("Confinement", ["Guest", "Seccomp", "Walls", "Policy", "Trees", "Linux", "Formats"]),
  module(
    "Jail", ["Confinement", "Guest", "Seccomp", "Walls", "Policy", "Trees", "Linux", "Formats"]),
  module(
    "Container", ["Confinement", "Guest", "Seccomp", "Walls", "Policy", "Trees", "Linux", "Formats"]),
  // The kernel in user space, a target for each of its parts, bottom first.
  module("SentryABI", ["Linux", "CLinux"]),
  module("SentryWait", ["Linux", "CLinux"]),
  module("SentryMemory", ["SentryABI", "Linux", "CLinux"]),
  module("SentryFiles", ["SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  module(
    "SentryFileSystems", ["SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Formats", "Linux", "CLinux"]),
  module("SentryPipes", ["SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  module("SentryEvents", ["SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  module("SentrySockets", ["SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  module("SentryTerminals", ["SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  module("SentrySignals", ["SentryABI", "Linux", "CLinux"]),
  module("SentryIPC", ["SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  module(
    "SentryTasks",
    [
      "SentrySignals", "SentryTerminals", "SentrySockets", "SentryIPC", "SentryFiles", "SentryMemory", "SentryWait",
      "SentryABI", "Linux", "CLinux",
    ]),
  module("SentryELF", ["Linux", "Formats"]),
  module(
    "SentryProc",
    [
      "SentryTasks", "SentryIPC", "SentryTerminals", "SentrySignals", "SentryFileSystems", "SentryFiles",
      "SentryMemory",
      "SentryWait", "SentryABI", "Linux", "CLinux",
    ]),
  module(
    "SentryCalls",
    [
      "SentryELF", "SentryTasks", "SentrySignals", "SentryTerminals", "SentrySockets", "SentryIPC", "SentryEvents",
      "SentryPipes",
      "SentryFileSystems", "SentryFiles",
      "SentryMemory", "SentryWait", "SentryABI", "Formats", "Linux", "CLinux",
    ]),
  module(
    "SentryPlatform",
    [
      "SentryCalls", "SentryELF", "SentryTasks", "SentrySignals", "SentryFiles", "SentryMemory", "SentryWait",
      "SentryABI", "Seccomp", "CGuest", "Linux", "CLinux",
    ]),
  module(
    "Sentry",
    [
      "SentryCalls", "SentryFileSystems", "SentryPipes", "SentryTerminals", "SentryProc", "SentryTasks",
      "SentryPlatform", "SentryIPC",
      "SentryFiles", "SentryMemory", "SentryWait", "SentryABI",
      "Confinement", "Guest", "Seccomp", "Walls", "Policy", "Trees", "Linux", "Formats",
    ]),
  module("Images", ["Walls", "Trees", "Linux", "Formats"]),
  module("Trace", ["Seccomp", "Linux", "Formats"]),
  module("Options", ["Formats"], pure: true),
  module("OCI", ["Options", "Supervision", "Seccomp", "Walls", "Policy", "Linux", "Formats"]),
  module(
    "Launch",
    [
      "OCI", "Options", "Images", "Jail", "Container", "Sentry", "Confinement", "Guest", "Supervision", "Workspace",
      "BoxNetwork", "Trace", "Walls", "Policy", "Seccomp", "Trees", "Linux", "Formats",
    ]),
  .executableTarget(
    name: "immure", dependencies: ["Launch", "Linux"], swiftSettings: strict,
    linkerSettings: staticLink + hotLink),
]

let inflating: [Target] = isal ? [.systemLibrary(name: "CIsal", providers: [.apt(["libisal-dev"])])] : []
let front: [Target] = [
  .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
  .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
  .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),
  .target(
    name: "Registry",
    dependencies: (isal ? ["CIsal"] : []) + [
      "Images", "Confinement", "Walls", "Linux", "Formats", "CZlib", "CZstd", "CCrypto",
      .product(name: "AsyncHTTPClient", package: "async-http-client"),
      .product(name: "NIOCore", package: "swift-nio"),
      .product(name: "NIOHTTP1", package: "swift-nio"),
      .product(name: "NIOPosix", package: "swift-nio"),
      .product(name: "NIOSSL", package: "swift-nio-ssl"),
    ],
    swiftSettings: strict + (isal ? [.define("ISAL")] : []),
    linkerSettings: isal ? [.unsafeFlags(["-L\(root)/.deps/lib"])] : []),
  module(
    "Commands",
    ["Registry", "Options", "Images", "Confinement", "Seccomp", "Walls", "Policy", "Linux", "Formats"]
  ),
  .executableTarget(
    name: "immure-front", dependencies: ["Commands", "Linux"], swiftSettings: strict,
    linkerSettings: staticLink + staticFoundation),
]

let coreTests: [Target] = [
  tests("Formats", ["ChildProcesses", "Formats"]),
  tests("Linux", ["ChildProcesses", "Linux", "CLinux"]),
  tests("Seccomp", ["ChildProcesses", "Seccomp", "Formats", "Linux"]),
  tests("Policy", ["Policy", "Formats"]),
  tests("Walls", ["Walls", "Policy", "Linux", "CLinux", "Formats"]),
  tests(
    "Network", ["ChildProcesses", "BoxNetwork", "Walls", "Policy", "Linux", "Formats"],
    exclude: ["rig.sh", "serve.py", "ask.py"]),
  // A start forks, which a test process with its threads must not.
  .executableTarget(
    name: "NetworkProbe", dependencies: ["BoxNetwork", "Walls", "Policy", "Linux"], path: "Tests/NetworkProbe",
    swiftSettings: strict),
  tests("Trees", ["ChildProcesses", "Trees", "Linux", "CLinux", "Formats"]),
  tests("Workspace", ["ChildProcesses", "Workspace", "Trees", "Walls", "Policy", "Linux", "Formats"]),
  // Ends itself in the middle of an application.
  .executableTarget(
    name: "WorkspaceProbe", dependencies: ["Workspace", "Trees", "Linux"], path: "Tests/WorkspaceProbe",
    swiftSettings: strict),
  tests("Guest", ["Guest", "Linux", "CLinux"]),
  tests("Supervision", ["Supervision", "Walls", "Policy", "Linux", "Formats"]),
  tests("Confinement", ["Confinement", "Seccomp", "Walls", "Policy", "Linux", "Formats"]),
  tests("Trace", ["ChildProcesses", "Trace", "Policy", "Seccomp", "Linux", "Formats"]),
  tests("Images", ["ChildProcesses", "Images", "Walls", "Linux", "CLinux", "Formats"]),
  tests("Options", ["ChildProcesses", "Options", "Formats"]),
  tests("Sentry", ["Sentry", "Seccomp", "Walls", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux"]),
  tests("SentryELF", ["SentryELF", "Formats", "Linux"]),
  tests(
    "SentryPlatform",
    ["ChildProcesses", "SentryGuests", "SentryPlatform", "SentryCalls", "SentryMemory", "Seccomp", "Linux"]),
  // C programs that pass on Linux first and then run in the sentry.
  .target(name: "SentryGuests", dependencies: ["ChildProcesses"], path: "Tests/SentryGuests", swiftSettings: strict),
  tests(
    "SentryFiles",
    ["ChildProcesses", "SentryFileSystems", "SentryFiles", "SentryMemory", "SentryABI", "Linux", "CLinux"]),
  // Counts a release build's allocations, for the probe.
  .target(name: "AllocationCounts", path: "Tests/AllocationCounts"),
  // Raises a sentry without the wall around it: guests for other tests.
  .executableTarget(
    name: "SentryProbe",
    dependencies: [
      "AllocationCounts",
      "SentryPlatform", "SentryProc", "SentryCalls", "SentryFileSystems", "SentryTerminals", "SentryPipes",
      "SentryTasks", "SentryIPC",
      "SentryFiles", "SentryMemory",
      "SentryABI", "Linux", "CLinux",
    ], path: "Tests/SentryProbe", swiftSettings: strict),
  tests(
    "SentryEvents",
    [
      "SentryCalls", "SentryTasks", "SentryTerminals", "SentrySockets", "SentryEvents", "SentryPipes", "SentryFiles",
      "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux",
    ]),
  tests("SentryTasks", ["SentryTasks", "SentryFiles", "SentrySignals", "SentryABI", "Linux", "CLinux"]),
  // C programs: natively first, then in the sentry.
  tests("SentryPrograms", ["ChildProcesses", "SentryGuests"], exclude: ["calls-without-a-program.txt"]),
  // Python's own test modules behind the sentry and natively.
  tests("SentryPython", ["ChildProcesses"], exclude: ["differences.txt"]),
  tests("OCI", ["ChildProcesses", "OCI", "Options", "Walls", "Policy", "Linux", "CLinux", "Formats"]),
  // Attacks and faults, from the outside only.
  tests("OCIEscape", ["ChildProcesses"]),
  // Processes that tests start and wait for.
  .target(name: "ChildProcesses", path: "Tests/ChildProcesses", swiftSettings: strict),
  // Other people's daemons drive the built command.
  tests("Engine", ["ChildProcesses"], exclude: ["world.sh", "hierarchies.sh", "cri.py"]),
  // podman from Debian, with immure-oci as its runtime.
  tests("Podman", ["ChildProcesses"]),
  // Debian's kernels under emulation, with the built command in them.
  tests("Kernel", ["Linux"]),
  tests("House", []),
  // Real executables from the outside, every wall: built first, found through IMMURE_BIN.
  tests("Command", ["ChildProcesses", "Walls", "Policy", "Linux", "Formats"], exclude: ["network.sh"]),
]
let frontTests: [Target] = [
  tests("Registry", ["Registry", "Images", "Walls", "Linux", "CLinux", "Formats"])
]

let fuzzers: [Target] =
  fuzzing
  ? [
    .target(name: "CFuzz", path: "Fuzz/CFuzz"),
    fuzzer("FuzzJSON", ["Formats"]),
    fuzzer("FuzzTOML", ["Formats"]),
    fuzzer("FuzzTar", ["Formats"]),
    fuzzer("FuzzEROFS", ["Formats"]),
    fuzzer("FuzzELF", ["Formats"]),
    fuzzer("FuzzReference", ["Formats"]),
    fuzzer("FuzzChallenge", ["Formats"]),
    fuzzer("FuzzRegistries", ["Formats"]),
    fuzzer("FuzzRegistryAnswers", ["Formats"]),
    fuzzer("FuzzImageTypes", ["Formats"]),
    fuzzer("FuzzLayerStream", ["Formats"]),
    fuzzer("FuzzBusMessage", ["Formats"]),
    fuzzer("FuzzRuntimeConfiguration", ["Formats"]),
    fuzzer("FuzzSeccompProfile", ["Seccomp", "Formats"]),
    fuzzer("FuzzPolicy", ["Policy", "Formats"]),
    fuzzer("FuzzOptions", ["Options", "Formats"]),
    // A sentry's kernel with two processes, to be asked whatever there is.
    .target(
      name: "GuestWorld",
      dependencies: [
        "SentryCalls", "SentryProc", "SentryFileSystems", "SentryPipes", "SentryTerminals", "SentryTasks",
        "SentryFiles", "SentryMemory", "SentryWait", "SentryABI", "Linux", "CLinux",
      ], path: "Fuzz/GuestWorld", swiftSettings: strict + sanitize),
    fuzzer("FuzzSentryCalls", ["GuestWorld", "SentryCalls", "SentryTasks", "SentryWait", "SentryABI", "Linux"]),
    fuzzer("FuzzSentryMessages", ["GuestWorld", "Sentry", "SentrySockets", "SentryTasks", "SentryABI", "Linux"]),
  ] : []

let package = Package(
  name: "immure",
  dependencies: core || fuzzing
    ? []
    : [
      .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
      .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
      .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
    ],
  targets: house + (core || fuzzing ? [] : inflating + front) + (fuzzing ? [] : coreTests)
    + (core || fuzzing ? [] : frontTests) + fuzzers,
  swiftLanguageModes: [.v6]
)
