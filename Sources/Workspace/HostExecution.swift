import Trees

/// What a host does with files it was not told to run: hooks, build files, editors' and shells' settings.
enum HostExecution {
  /// Names that a tool reads or runs by itself, anywhere in the folder.
  private static let names: [String: String] = [
    ".envrc": "direnv runs it on entering the folder",
    ".bashrc": "the shell runs it", ".bash_profile": "the shell runs it", ".profile": "the shell runs it",
    ".zshrc": "the shell runs it", ".zshenv": "the shell runs it",
    ".gitmodules": "git reads it", ".gitattributes": "git chooses filters by it", ".gitconfig": "git reads it",
    "Makefile": "make runs it", "makefile": "make runs it", "GNUmakefile": "make runs it",
    "CMakeLists.txt": "cmake runs it", "meson.build": "meson runs it", "justfile": "just runs it",
    "Rakefile": "rake runs it", "Gemfile": "bundler runs it", "Vagrantfile": "vagrant runs it",
    "package.json": "npm runs its scripts", ".npmrc": "npm reads it", ".yarnrc.yml": "yarn reads it",
    "setup.py": "pip runs it", "conftest.py": "pytest runs it", "noxfile.py": "nox runs it",
    "sitecustomize.py": "python runs it", "pyproject.toml": "pip builds by it", "tox.ini": "tox runs it",
    "Cargo.toml": "cargo builds by it", "build.rs": "cargo runs it", "Package.swift": "swift build runs it",
    "build.gradle": "gradle runs it", "build.gradle.kts": "gradle runs it", "pom.xml": "maven builds by it",
    "Dockerfile": "docker build runs it", "compose.yaml": "docker compose runs it",
    "docker-compose.yml": "docker compose runs it", ".gitlab-ci.yml": "the CI runs it",
    ".pre-commit-config.yaml": "pre-commit runs it", ".gdbinit": "gdb runs it", ".vimrc": "vim runs it",
    ".exrc": "vi runs it", ".editorconfig": "editors read it", ".tool-versions": "asdf reads it",
    "mise.toml": "mise runs it", ".mise.toml": "mise runs it",
  ]
  /// Folders all of whose files are such.
  private static let folders: [String: String] = [
    ".vscode": "the editor runs its tasks", ".idea": "the editor runs its configurations",
    ".husky": "git runs it", ".cargo": "cargo reads it", ".githooks": "git may run it",
    ".devcontainer": "the editor runs it", ".circleci": "the CI runs it", ".zed": "the editor reads it",
  ]

  /// Why a file of this path would be run or obeyed; nil when nothing here says so.
  static func reason(for path: RelativePath) -> String? {
    let parts = path.bytes.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
    guard let name = parts.last else { return nil }
    for (index, part) in parts.enumerated() {
      // File systems that fold case make .GIT the same folder.
      let lower = part.lowercased()
      if lower == ".git" {
        let inner = parts[(index + 1)...].map { $0.lowercased() }
        if inner.isEmpty { return "git reads it" }
        if inner.contains("hooks") { return "git runs it" }
        if inner.last == "config" || inner.last == "config.worktree" { return "git runs commands it names" }
        if inner.contains("info") { return "git chooses filters by it" }
      }
      if lower == ".github", parts[(index + 1)...].first?.lowercased() == "workflows" { return "the CI runs it" }
      if index < parts.count - 1, let reason = folders[lower] { return reason }
    }
    if let reason = names[name] ?? names[name.lowercased()] { return reason }
    if name.hasSuffix(".mk") { return "make may include it" }
    if name.hasSuffix(".pth") { return "python runs it" }
    if name.hasSuffix(".desktop") { return "the desktop may run it" }
    return nil
  }

  /// Whether a link of this path leads out of the folder.
  static func leadsOutside(_ target: [UInt8], from path: RelativePath) -> Bool {
    if target.first == UInt8(ascii: "/") { return true }
    var depth = path.depth - 1
    for part in target.split(separator: UInt8(ascii: "/")) {
      if part.elementsEqual("..".utf8) { depth -= 1 } else if !part.elementsEqual(".".utf8) { depth += 1 }
      if depth < 0 { return true }
    }
    return false
  }
}
