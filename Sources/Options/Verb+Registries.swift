extension Verb {
  static let keepBlobs = Option(
    "keep-blobs", "Keep layers as they came too: `save` then has their digests, and signatures stay true")
  static let transferring = [
    Option("quiet", "q", "No progress"),
    Option(
      "progress", value: "auto|plain|json", "A bar on a terminal and lines elsewhere (auto), lines, or JSON events"),
    Option("retry", value: "NUMBER", "How often what failed for a moment is tried again (3)"),
    Option("stall-timeout", value: "SECONDS", "How long the registry may send nothing (60)"),
  ]
  static let authfile = Option("authfile", value: "FILE", "Credentials as `docker login` and `podman login` write them")
  static let proofs = [
    Option("cert-dir", value: "DIR", "Certificates of the registry (*.crt), and ours (*.cert with *.key)"),
    Option(
      "tls-verify", value: "true|false",
      "Whether the registry must prove who it is (true, else as registries.conf says)"),
  ]
  static let registry = OptionGroup(
    "The registry", [Option("creds", value: "USER:PASSWORD", "Who asks"), authfile] + proofs)

  static let registries: [Verb] = [
    Verb(
      "push", "IMAGE [DESTINATION]", count: 1...2, "Send an image to a registry, or write it into an archive",
      discussion: """
        DESTINATION is a name as in `immure pull`, or oci:DIR[:TAG], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]; without it IMAGE's own name. Only what the \
        registry lacks is sent: a layer that another of its repositories has is mounted from there. Prints the manifest's digest, which is \
        that of the image as it was fetched.
        """, place: .front, groups: [OptionGroup("How", transferring), registry],
      examples: [
        Example("immure push busybox oci-archive:busybox.tar", "as an archive; with a registry's name it goes there")
      ]),
    Verb(
      "login", "HOST", count: 1...1, "Prove to a registry who you are, and keep that",
      discussion: """
        The registry is asked first. Name and password are then kept where podman and skopeo look too: with the credential helper that is set, \
        else in the file that --authfile or $REGISTRY_AUTH_FILE names, else in $XDG_RUNTIME_DIR/containers/auth.json, for its owner only. \
        --password shows in the list of processes; --password-stdin does not.
        """, place: .front,
      groups: [
        OptionGroup(
          "Who",
          [
            Option("username", "u", value: "USER", "The name (asked for)"),
            Option("password", "p", value: "PASSWORD", "The password or token (asked for)"),
            Option("password-stdin", "Read the password from standard input"),
            Option("get-login", "Say who is logged in, and nothing else"),
          ]),
        OptionGroup("The registry", [authfile] + proofs),
      ],
      examples: [
        Example(
          "immure login --get-login --authfile auth.json quay.io || echo nobody yet", "-u NAME --password-stdin logs in"
        )
      ]),
    Verb(
      "logout", "[HOST]", count: 0...1, "Forget what login kept", place: .front,
      groups: [OptionGroup("Which", [Option("all", "a", "Every registry"), authfile])],
      examples: [Example("immure logout --all --authfile auth.json", "nothing of it is kept any more")]),
  ]
}
