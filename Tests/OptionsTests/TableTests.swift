import ChildProcesses
import Foundation
import Options
import Testing

/// What is made from the table of verbs: help, manual pages and completions.
@Suite("The table of options")
struct TableTests {
  @Test("names are written once in a verb, and are fit for every shell", arguments: Verb.all.map(\.name))
  func names(_ name: String) throws {
    let verb = try #require(Verb.all.first { $0.name == name })
    let names = verb.options.map(\.name)
    #expect(Set(names).count == names.count, "\(names.sorted())")
    let shorts = verb.options.compactMap(\.short)
    #expect(Set(shorts).count == shorts.count)
    for option in verb.options {
      #expect(option.name.utf8.allSatisfy { $0 == 45 || (97...122).contains($0) }, "\(option.name)")
      #expect(!option.help.isEmpty && !option.help.hasSuffix(".") && !option.help.contains("\n"), "\(option.name)")
    }
    #expect(!verb.summary.isEmpty && !verb.summary.hasSuffix("."))
    #expect(Verb.all.count { $0.name == name } == 1)
  }

  @Test("help and manual name every option of every verb", arguments: Verb.all.map(\.name))
  func help(_ name: String) throws {
    let verb = try #require(Verb.all.first { $0.name == name })
    let help = Help.page(verb)
    let manual = Manual.page(verb)
    #expect(help.contains(verb.summary))
    for option in verb.options {
      #expect(help.contains("--" + option.name) && help.contains(option.help), "\(option.name)")
      #expect(manual.contains("\\-\\-" + option.name.split(separator: "-").joined(separator: "\\-")), "\(option.name)")
      if let short = option.short { #expect(help.contains("-\(short), ")) }
    }
    for example in verb.examples {
      #expect(example.command.hasPrefix("immure "))
      #expect(help.contains(example.command))
    }
    #expect(Help.overview().contains(verb.name))
    #expect(Manual.overview().contains("immure " + verb.name))
  }

  static let groff = ["/usr/bin/groff", "/usr/local/bin/groff"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test("groff has no complaint about any page", .enabled(if: groff != nil, "groff is not installed"))
  func troff() throws {
    let pages = Manual.pages()
    #expect(pages.count == Verb.all.count + 1)
    #expect(Set(pages.map(\.file)).count == pages.count)
    for page in pages {
      #expect(page.text.utf8.allSatisfy { $0 < 128 }, "\(page.file): the output device decides on characters")
      let (status, output, error) = try Self.run(
        [Self.groff ?? "", "-man", "-ww", "-Tutf8", "-P-c", "-P-b", "-P-u"], input: page.text)
      #expect(status == 0 && error.isEmpty, "\(page.file): \(error)")
      // What the reader sees is what the table says.
      #expect(output.contains("SYNOPSIS") && output.contains("OPTIONS"), "\(page.file)")
    }
  }

  @Test(
    "a manual page shows quotes, backslashes and dots as they are", .enabled(if: groff != nil, "groff is not installed")
  )
  func escapes() throws {
    let verb = Verb(
      "try", "[X]", count: 0...1, "Show signs", discussion: ".SH is no request here, 'nor here \\fB.",
      examples: [Example("immure try \"a b\" 'c' `d` \\n", "with \"quotes\"")])
    let (status, output, error) = try Self.run(
      [Self.groff ?? "", "-man", "-ww", "-Tutf8", "-P-c", "-P-b", "-P-u"], input: Manual.page(verb))
    #expect(status == 0 && error.isEmpty, "\(error)")
    #expect(output.contains(".SH is no request here, 'nor here \\fB."), "\(output)")
    #expect(output.contains("immure try \"a b\" 'c' `d` \\n"), "\(output)")
  }

  @Test("completions name every verb and option", arguments: Completion.Shell.allCases)
  func completions(_ shell: Completion.Shell) {
    let script = Completion.script(for: shell)
    for verb in Verb.all {
      for word in verb.name.split(separator: " ") { #expect(script.contains(word)) }
      for option in verb.options {
        #expect(script.contains(shell == .fish ? "-l " + option.name : "--" + option.name), "\(option.name)")
      }
    }
  }

  static func shell(_ name: String) -> String? {
    ["/bin/", "/usr/bin/", "/usr/local/bin/"].map { $0 + name }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  @Test("bash reads its completions", .enabled(if: shell("bash") != nil, "bash is not installed"))
  func bash() throws {
    let (status, _, error) = try Self.run([Self.shell("bash") ?? "", "-n"], input: Completion.script(for: .bash))
    #expect(status == 0 && error.isEmpty, "\(error)")
  }

  @Test("zsh reads its completions", .enabled(if: shell("zsh") != nil, "zsh is not installed"))
  func zsh() throws {
    let (status, _, error) = try Self.run([Self.shell("zsh") ?? "", "-n"], input: Completion.script(for: .zsh))
    #expect(status == 0 && error.isEmpty, "\(error)")
  }

  @Test("fish reads its completions", .enabled(if: shell("fish") != nil, "fish is not installed"))
  func fish() throws {
    let (status, _, error) = try Self.run([Self.shell("fish") ?? "", "-n"], input: Completion.script(for: .fish))
    #expect(status == 0 && error.isEmpty, "\(error)")
  }

  @Test(
    "what fish offers", .enabled(if: shell("fish") != nil, "fish is not installed"),
    arguments: [
      ("immure ru", ["run"]), ("immure workspace di", ["diff", "discard"]), ("immure run --mem", ["--memory"]),
      ("immure run --network ", ["none", "host", "user"]), ("immure completion ", ["bash", "zsh", "fish"]),
    ])
  func offeredByFish(_ line: String, _ expected: [String]) throws {
    let script = "function immure; end\n" + Completion.script(for: .fish) + "\ncomplete -C '\(line)'\n"
    let (status, output, error) = try Self.run([Self.shell("fish") ?? "", "--no-config"], input: script)
    #expect(status == 0 && error.isEmpty, "\(error)")
    let words = output.split(separator: "\n").map { String($0.split(separator: "\t")[0]) }
    #expect(Set(words) == Set(expected), "\(output)")
  }

  /// compinit (zshcompsys(1)) finds the function by its first line, and it loads.
  @Test("zsh's completion system takes them", .enabled(if: shell("zsh") != nil, "zsh is not installed"))
  func takenByZsh() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "immure-zsh-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(Completion.script(for: .zsh).utf8).write(to: folder.appending(path: "_immure"))
    let script = """
      fpath=('\(folder.path)' $fpath); autoload -Uz compinit; compinit -D -u; print -r -- $_comps[immure]
      autoload +X _immure && whence -w _immure
      """
    let (status, output, error) = try Self.run([Self.shell("zsh") ?? "", "-f"], input: script)
    #expect(status == 0 && error.isEmpty, "\(error)")
    #expect(output == "_immure\n_immure: function\n")
  }

  @Test(
    "what bash offers", .enabled(if: shell("bash") != nil, "bash is not installed"),
    arguments: [
      (["immure", "ru"], ["run"]),
      (["immure", "work"], ["workspace"]),
      (["immure", "workspace", ""], ["list", "diff", "apply", "discard"]),
      (["immure", "workspace", "di"], ["diff", "discard"]),
      (["immure", "run", "--mem"], ["--memory"]),
      (["immure", "run", "--network", ""], ["none", "host", "user"]),
      (["immure", "run", "--wall", "j"], ["jail"]),
      (["immure", "run", "--memory", ""], []),
      (["immure", "--root", "/r", "run", "--pid"], ["--pid", "--pids"]),
      (["immure", "workspace", "apply", "--d"], ["--dry-run", "--debug"]),
      (["immure", "completion", ""], ["bash", "zsh", "fish"]),
      (["immure", "ps", "--format", "j"], ["json"]),
    ])
  func offered(_ words: [String], _ expected: [String]) throws {
    let line = words.map { "'\($0)'" }.joined(separator: " ")
    let script =
      Completion.script(for: .bash)
      + "\nCOMP_WORDS=(\(line)) COMP_CWORD=\(words.count - 1)\n_immure\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    let (status, output, error) = try Self.run([Self.shell("bash") ?? ""], input: script)
    #expect(status == 0 && error.isEmpty, "\(error)")
    #expect(Set(output.split(separator: "\n").map(String.init)) == Set(expected))
  }

  /// Runs a program to its end, at most 120 seconds long.
  static func run(_ words: [String], input: String) throws -> (status: Int32, output: String, error: String) {
    let result = try Finished.run(words, input: .text(input), seconds: 120, killsAtOnce: true)
    return (result.status, result.output, result.error)
  }
}
