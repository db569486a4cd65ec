import ChildProcesses
import Foundation
import Testing

/// A small image without a registry: busybox is all there is in it.
enum Image {
  static let name = "localhost/tiny:1"

  /// Writes a docker-archive, which `docker load`, `ctr images import` and buildah read.
  static func write(to path: String) throws {
    let script = """
      set -e
      cd "$(mktemp -d)"
      trap 'rm -rf "$PWD"' EXIT
      mkdir -p root/bin root/etc root/tmp root/proc root/sys root/dev root/root root/run
      chmod 1777 root/tmp
      cp "$(command -v busybox)" root/bin/busybox
      for name in $(busybox --list); do [ $name = busybox ] || ln -s busybox root/bin/$name; done
      printf 'root:x:0:0:root:/root:/bin/sh\\nuser:x:1000:1000::/:/bin/sh\\n' >root/etc/passwd
      printf 'root:x:0:\\nuser:x:1000:\\n' >root/etc/group
      tar -C root --owner 0 --group 0 -cf layer.tar .
      digest=$(sha256sum layer.tar | cut -d' ' -f1)
      printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["/bin/sleep","1000000"]},' \\
        "$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')" >config.json
      printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$digest" >>config.json
      printf '[{"Config":"config.json","RepoTags":["\(name)"],"Layers":["layer.tar"]}]' >manifest.json
      tar -cf "$0" layer.tar config.json manifest.json
      """
    let result = try World.command(["bash", "-c", script, path])
    try #require(result.status == 0, "cannot write the image: \(result.error)")
  }
}
