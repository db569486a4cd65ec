/// Completions for shells, made from the table of verbs.
public enum Completion {
  public enum Shell: String, CaseIterable, Sendable {
    case bash, zsh, fish
  }

  /// The script that the shell reads.
  public static func script(for shell: Shell, _ verbs: [Verb] = Verb.all) -> String {
    switch shell {
    case .bash: bash(verbs)
    case .zsh: zsh(verbs)
    case .fish: fish(verbs)
    }
  }

  /// What may stand for an option's value or an operand.
  enum Expected: Equatable {
    case choices([String])
    case file, folder, sandbox, image, nothing

    /// Of a value's name in the table: "table|json", "FILE", "DIR[:apply]".
    init(value: String, option: String = "") {
      let words = value.split(separator: "|").map(String.init)
      if words.count > 1, words.allSatisfy({ $0.utf8.allSatisfy { byte in byte == 45 || (97...122).contains(byte) } }) {
        self = .choices(words)
        return
      }
      switch value {
      // The walls that are built; the table's help says which.
      case "WALL": self = .choices(["container", "jail"])
      case "SIGNAL": self = .choices(["TERM", "KILL", "INT", "HUP", "QUIT", "USR1", "USR2"])
      case "FILE": self = option == "policy" ? .choices(["untrusted", "build", "inspect"]) : .file
      case "PATH": self = .file
      default:
        if value.hasPrefix("DIR") {
          self = .folder
        } else if value.hasPrefix("SOURCE:") {
          self = .file
        } else {
          self = .nothing
        }
      }
    }

    /// Of a verb's first operand.
    init(operands: String) {
      let first = operands.split(separator: " ").first.map(String.init) ?? ""
      if first.hasPrefix("SANDBOX") || first == "NAME" {
        self = .sandbox
      } else if first.hasPrefix("IMAGE") {
        self = .image
      } else if first == "FILE" || first == "SOURCE" {
        self = .file
      } else if first.hasPrefix("[DIR]") {
        self = .folder
      } else {
        self = Expected(value: first)
      }
    }
  }

  /// First words, and for each what may follow it.
  private static func families(_ verbs: [Verb]) -> [(first: String, seconds: [Verb], alone: Verb?)] {
    var found: [(first: String, seconds: [Verb], alone: Verb?)] = []
    for verb in verbs {
      let first = String(verb.name.split(separator: " ")[0])
      let index = found.firstIndex { $0.first == first } ?? found.count
      if index == found.count { found.append((first, [], nil)) }
      if verb.name == first { found[index].alone = verb } else { found[index].seconds.append(verb) }
    }
    return found
  }

  private static func second(_ verb: Verb) -> String { String(verb.name.split(separator: " ").last ?? "") }

  private static func spellings(_ option: Option) -> [String] {
    (option.short.map { ["-\($0)"] } ?? []) + ["--" + option.name]
  }

  // MARK: bash

  private static func bash(_ verbs: [Verb]) -> String {
    let families = families(verbs)
    var text = """
      # bash completion for immure, made by `immure completion bash`.
      _immure() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= at=1 word
        COMPREPLY=()
        # The verb: the first words that are no options of the command itself.
        while [ $at -lt $COMP_CWORD ]; do
          word=${COMP_WORDS[at]}
          case $word in
            --root) at=$((at + 2)); continue ;;
            -*) at=$((at + 1)); continue ;;
          esac
          verb=$word
          break
        done

      """
    text += "  case $verb in\n"
    for family in families where !family.seconds.isEmpty {
      text += "    \(family.first)) [ $((at + 1)) -lt $COMP_CWORD ] && verb=\"$verb ${COMP_WORDS[at+1]}\" ;;\n"
    }
    text += "  esac\n  local options= values= operands=\n  case $verb in\n"
    text +=
      "    '') operands='\(families.map(\.first).joined(separator: " "))' options='\(words(Verb.everywhere.options)) --version' ;;\n"
    for family in families where family.alone == nil {
      text += "    \(family.first)) operands='\(family.seconds.map(second).joined(separator: " "))' ;;\n"
    }
    for verb in verbs {
      text += "    '\(verb.name)')\n      options='\(words(verb.options))'\n"
      text += "      case $prev in\n"
      for option in verb.options {
        guard let value = option.value else { continue }
        text +=
          "        \(spellings(option).joined(separator: "|"))) values=\(bashWord(Expected(value: value, option: option.name))) ;;\n"
      }
      text += "      esac\n      operands=\(bashWord(Expected(operands: verb.operands))) ;;\n"
    }
    return text + """
        esac
        case $values in
          '') ;;
          @nothing) return ;;
          *) _immure_words "$values"; return ;;
        esac
        case $cur in
          -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
          *) _immure_words "$operands" ;;
        esac
      }
      _immure_words() {
        case $1 in
          @file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
          @folder) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")) ;;
          @sandbox) COMPREPLY=($(compgen -W "$(immure ps -a 2>/dev/null | awk 'NR > 1 { print $2 }')" -- "$cur")) ;;
          @image) COMPREPLY=($(compgen -W "$(immure images 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")) ;;
          @nothing) ;;
          *) COMPREPLY=($(compgen -W "$1" -- "$cur")) ;;
        esac
      }
      complete -F _immure immure

      """
  }

  private static func words(_ options: [Option]) -> String { options.flatMap(spellings).joined(separator: " ") }

  private static func bashWord(_ expected: Expected) -> String {
    switch expected {
    case .choices(let choices): "'\(choices.joined(separator: " "))'"
    case .file: "@file"
    case .folder: "@folder"
    case .sandbox: "@sandbox"
    case .image: "@image"
    case .nothing: "@nothing"
    }
  }

  // MARK: zsh

  private static func zsh(_ verbs: [Verb]) -> String {
    let families = families(verbs)
    var text = """
      #compdef immure
      # zsh completion for immure, made by `immure completion zsh`.
      _immure_sandboxes() { compadd -- ${(f)"$(immure ps -a 2>/dev/null | awk 'NR > 1 { print $2 }')"} }
      _immure_images() { compadd -- ${(f)"$(immure images 2>/dev/null | awk 'NR > 1 { print $1 }')"} }

      """
    for family in families {
      let function = "_immure_" + family.first
      text += "\n\(function)() {\n"
      if let verb = family.alone, family.seconds.isEmpty {
        text += "  _arguments -s -S \\\n" + zshArguments(verb) + "\n"
      } else {
        text += zshBranches(family.seconds.map { (second($0), $0.summary) }, call: function + "_", family.alone)
      }
      text += "}\n"
      if !family.seconds.isEmpty {
        for verb in family.seconds {
          text += "\n\(function)_\(second(verb))() {\n  _arguments -s -S \\\n" + zshArguments(verb) + "\n}\n"
        }
      }
    }
    text += "\n_immure() {\n"
    text += zshBranches(
      families.map { ($0.first, $0.alone?.summary ?? $0.seconds.map(second).joined(separator: ", ")) }, call: "_immure_"
    )
    return text + "}\n\n_immure \"$@\"\n"
  }

  /// With `verb`, whose options may stand before the second word.
  private static func zshBranches(_ names: [(String, String)], call: String, _ verb: Verb? = nil) -> String {
    let options =
      verb.map { zshOptions($0).joined(separator: " \\\n") }
      ?? "    '--root[Where images and sandboxes are kept]:folder:_files -/' '--debug[Name system calls that are not there]'"
    var text = "  local line state\n  local -a names\n  names=(\n"
    for (name, summary) in names { text += "    '\(name):\(zshText(summary))'\n" }
    return text + """
        )
        _arguments -C \\
      \(options) \\
          '1: :->name' '*:: :->rest'
        case $state in
          name) _describe command names ;;
          rest) (( $+functions[\(call)${line[1]}] )) && \(call)${line[1]} ;;
        esac

      """
  }

  private static func zshOptions(_ verb: Verb) -> [String] {
    var lines: [String] = []
    for option in verb.options {
      for spelling in spellings(option) {
        let many = option.repeats ? "*" : ""
        let value =
          option.value.map { ":" + zshText($0) + ":" + zshAction(Expected(value: $0, option: option.name)) } ?? ""
        lines.append("    '\(many)\(spelling)[\(zshText(option.help))]\(value)'")
      }
    }
    return lines
  }

  private static func zshArguments(_ verb: Verb) -> String {
    var lines = zshOptions(verb)
    let operand = Expected(operands: verb.operands)
    if verb.count.upperBound > 0 {
      if verb.stopsAtOperand {
        lines.append("    '1: :\(zshAction(operand))'")
        lines.append("    '*:::program:_normal'")
      } else {
        lines.append("    '\(verb.count.upperBound == 1 ? "1" : "*"): :\(zshAction(operand))'")
      }
    }
    return lines.joined(separator: " \\\n")
  }

  private static func zshAction(_ expected: Expected) -> String {
    switch expected {
    case .choices(let choices): "(\(choices.joined(separator: " ")))"
    case .file: "_files"
    case .folder: "_files -/"
    case .sandbox: "_immure_sandboxes"
    case .image: "_immure_images"
    case .nothing: ""
    }
  }

  /// Text between single quotes in a specification of _arguments: brackets and colons escaped.
  private static func zshText(_ text: String) -> String {
    var out = ""
    for character in text {
      switch character {
      case "'": out += "'\\''"
      case "[", "]", ":", "\\": out += "\\" + String(character)
      default: out.append(character)
      }
    }
    return out
  }

  // MARK: fish

  private static func fish(_ verbs: [Verb]) -> String {
    let families = families(verbs)
    let firsts = families.map(\.first).joined(separator: " ")
    var text = """
      # fish completion for immure, made by `immure completion fish`.
      complete -c immure -f
      function __immure_sandboxes; immure ps -a 2>/dev/null | awk 'NR > 1 { print $2 }'; end
      function __immure_images; immure images 2>/dev/null | awk 'NR > 1 { print $1 }'; end

      """
    for family in families {
      let summary = family.alone?.summary ?? family.seconds.map(second).joined(separator: ", ")
      text +=
        "complete -c immure -n 'not __fish_seen_subcommand_from \(firsts)' -a \(family.first) -d '\(fishText(summary))'\n"
      let inner = family.seconds.map(second).joined(separator: " ")
      for verb in family.seconds {
        text += "complete -c immure -n '__fish_seen_subcommand_from \(family.first); "
        text += "and not __fish_seen_subcommand_from \(inner)' -a \(second(verb)) -d '\(fishText(verb.summary))'\n"
      }
    }
    for verb in verbs {
      let words = verb.name.split(separator: " ").map(String.init)
      let condition = words.map { "__fish_seen_subcommand_from \($0)" }.joined(separator: "; and ")
      for option in verb.options {
        text += "complete -c immure -n '\(condition)'" + (option.short.map { " -s \($0)" } ?? "") + " -l \(option.name)"
        if let value = option.value {
          let expected = Expected(value: value, option: option.name)
          // Files too, but where the words are all there is.
          var flag = " -r"
          if case .choices = expected, value != "FILE" { flag = " -x" }
          text += flag + fishArguments(expected)
        }
        text += " -d '\(fishText(option.help))'\n"
      }
      let operand = fishArguments(Expected(operands: verb.operands))
      if verb.count.upperBound > 0 && !operand.isEmpty { text += "complete -c immure -n '\(condition)'\(operand)\n" }
    }
    return text
  }

  private static func fishArguments(_ expected: Expected) -> String {
    switch expected {
    case .choices(let choices): " -a '\(choices.joined(separator: " "))'"
    case .file: " -F"
    case .folder: " -a '(__fish_complete_directories)'"
    case .sandbox: " -a '(__immure_sandboxes)'"
    case .image: " -a '(__immure_images)'"
    case .nothing: ""
    }
  }

  private static func fishText(_ text: String) -> String {
    var out = ""
    for character in text {
      if character == "'" || character == "\\" { out.append("\\") }
      out.append(character)
    }
    return out
  }
}
