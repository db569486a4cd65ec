import Formats

extension CapabilityConfiguration {
  /// The kernel makes ambient only what is permitted and inheritable (capabilities(7)). Clients name more (buildah: what it no longer
  /// makes inheritable since CVE-2022-27651), and other runtimes leave that out; so the program has less than was named, never more.
  mutating func leaveOutWhatCannotBeAmbient() { ambient &= permitted & inheritable }
}
