extension Verb {
  /// What is done with images beyond having them, and with sandboxes as sources of images.
  static let imageWork: [Verb] = [
    history("history"), history("image history"), imagePrune, imageCopy, imageMount, imageUnmount("image unmount"),
    imageUnmount("image umount"), diff, commit, export, systemUse,
  ]

  /// Two names for one thing, as Docker has them.
  private static func history(_ name: String) -> Verb {
    Verb(
      name, "IMAGE", count: 1...1, "Show the steps that made an image, the last one first",
      discussion: """
        A step without a layer (CMD, ENV …) has a dash for its layer and its size. Sizes are those of the unpacked files. The \
        words are those of the image's author, shown so that nothing in them acts on a terminal.
        """, place: .front,
      groups: [
        OptionGroup(
          "Listing",
          [
            format, Option("no-trunc", "Every word of how a layer was made, and whole digests"),
            Option("quiet", "q", "The layers' digests only"),
          ])
      ], examples: [Example("immure \(name) busybox", "what it is made of")])
  }

  private static let imagePrune = Verb(
    "image prune", "", "Remove layers and documents that no name leads to, and what killed commands left",
    discussion: """
      With --all every image goes that no sandbox uses. What a living sandbox uses, or another command is saving or adding, \
      stays whatever is asked for. Without --force it asks first.
      """, place: .front,
    groups: [
      OptionGroup(
        "Which",
        [Option("all", "a", "Every image that no sandbox uses too"), Option("force", "f", "Do not ask")])
    ], examples: [Example("immure image prune -f", "and how much room that made")])

  private static let imageMount = Verb(
    "image mount", "[IMAGE…]", count: 0...(.max), "Print a path under which an image's files can be looked at",
    discussion: """
      For root the path is a read-only mount, on which nothing can be run; it lasts until `immure image unmount` or a reboot. For others, and \
      where the kernel mounts no image files, it is a copy, as --format json says. An image that is mounted stays: prune passes it over \
      and `rmi` refuses it. Without IMAGE those that are mounted are listed.
      """, place: .front, groups: [OptionGroup("Listing", [format, Option("quiet", "q", "No notes")])],
    examples: [
      Example("immure image mount", "what is mounted; with IMAGE its path, as in ls $(immure image mount busybox)")
    ])

  private static func imageUnmount(_ name: String) -> Verb {
    Verb(
      name, "[IMAGE…]", count: 0...(.max), "Take the path of `immure image mount` away",
      discussion: """
        IMAGE is a name, an id or the path. Nothing is left of a copy; an image that has no name goes with the next `immure image prune`.
        """, place: .front, groups: [OptionGroup("Which", [Option("all", "a", "Every image that is mounted")])],
      examples: [Example("immure image mount busybox && immure \(name) --all", "looked at, and put away")])
  }

  private static let imageCopy = Verb(
    "image copy", "SOURCE DESTINATION", count: 2...2,
    "Copy an image between the store, folders, archives and registries",
    discussion: """
      A place is an image's name here, oci:DIR[:TAG], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or docker://NAME. \
      What goes out is what came in, byte for byte: layers are verified and never compressed anew. An archive \
      is made new; a folder that has images goes on having them, but for one of the same tag.
      """, place: .front,
    groups: [
      OptionGroup("How", [Option("platform", value: "OS/ARCH", "Which of an image's platforms")] + transferring),
      registry,
    ], examples: [Example("immure image copy busybox oci:layout:1", "for skopeo, umoci and others")])

  private static let diff = Verb(
    "diff", naming, count: 1...1, "Show what a sandbox changed in its image's files",
    discussion: """
      A is added, C is changed, D is deleted. The sandbox runs or is paused: what it wrote is in memory, and gone with it. \
      Volumes and other mounts are not looked into; what it changed in its --workspace is shown by `immure workspace diff`.
      """,
    groups: [OptionGroup("Listing", [format])],
    examples: [Example("immure diff job", "each file that the sandbox job added, changed or deleted")])

  private static let commit = Verb(
    "commit", "SANDBOX IMAGE", count: 2...2, "Make an image of a sandbox's image and what the sandbox changed",
    discussion: """
      The changes become one layer, with owners as they are inside, above the layers of the image, whose configuration stays but \
      for --change: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR as a Dockerfile has them. The \
      sandbox is paused meanwhile. It runs or is paused: what it wrote is in memory, and gone with it. Volumes and other mounts \
      are not part of it.
      """,
    groups: [
      OptionGroup(
        "The image",
        [
          Option("change", "c", value: "INSTRUCTION", repeats: true, "Change the configuration"),
          Option("message", "m", value: "TEXT", "A remark for the image's history"),
          Option("author", "a", value: "NAME", "Who made it"),
          Option("pause", "Stop the sandbox's time meanwhile, as is done anyway"),
          Option("no-pause", "Let the sandbox run on meanwhile"),
          Option("quiet", "q", "No notes"),
        ])
    ], examples: [Example("immure commit -c 'CMD [\"ls\", \"/\"]' job mine:1", "and the image's id")])

  private static let export = Verb(
    "export", naming, count: 1...1, "Write a sandbox's whole root file system as a tar archive",
    discussion: """
      What `immure import` makes an image of. Owners are those inside. The sandbox runs or is paused. Mounts within it (volumes, \
      /proc, /dev) are empty folders in the archive; sockets are left out.
      """,
    groups: [
      OptionGroup("Where to", [Option("output", "o", value: "FILE", "A file instead of standard output")])
    ], examples: [Example("immure export job | tar -tf -", "the names of its files")])

  private static let systemUse = Verb(
    "system df", "", "Show what images, sandboxes, logs and workspaces take on the disk",
    discussion: """
      Sizes are blocks on the disk, as du(1) counts them. An image's own layers are those that no other image has. Reclaimable is \
      what `immure image prune -a` and `immure prune` would free; workspaces hold work, and only `immure workspace discard` frees them.
      """,
    groups: [OptionGroup("Listing", [format, Option("verbose", "v", "Every image, layer, sandbox and workspace")])],
    examples: [Example("immure system df -v", "all of it")])
}
