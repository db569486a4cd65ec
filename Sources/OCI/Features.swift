import Formats
import Linux
import Policy
import Seccomp
import Walls

/// `features` (features.md, features-linux.md): what is held here, and nothing else.
enum Features {
  static func print(_ session: RuntimeSession) { Output.print(value(session), indented: true) }

  private static func strings(_ texts: some Sequence<String>) -> JSONValue { .array(texts.map { .string($0) }) }

  static func value(_ session: RuntimeSession) -> JSONValue {
    [
      "ociVersionMin": "1.0.0",
      "ociVersionMax": .string(RuntimeConfiguration.specificationVersion),
      "hooks": strings(HookConfiguration.Moment.allCases.map(\.rawValue)),
      "mountOptions": strings(MountOption.all.map(\.name).sorted()),
      "linux": [
        "namespaces": strings(NamespaceKind.allCases.map(\.rawValue).sorted()),
        "capabilities": strings(CapabilityName.names(in: CapabilityName.everyMask)),
        "cgroup": ["v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false],
        "seccomp": ["enabled": true],
        "apparmor": ["enabled": false],
        "selinux": ["enabled": false],
        "intelRdt": ["enabled": false],
        "mountExtensions": ["idmap": ["enabled": true]],
      ],
      "annotations": ["dev.immure.walls": .string(session.walls.map(\.name.rawValue).joined(separator: ","))],
    ]
  }
}
