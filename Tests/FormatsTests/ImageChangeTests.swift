import Formats
import Testing

/// Changes to a configuration in the words of a Dockerfile.
struct ImageChangeTests {
  private func base() -> ImageConfiguration {
    var configuration = ImageConfiguration(platform: Platform(os: "linux", architecture: "amd64"))
    configuration.command = ["old"]
    configuration.environment = ["PATH=/bin", "A=1"]
    configuration.workingDirectory = "/srv"
    return configuration
  }

  private func changed(_ lines: String...) throws -> ImageConfiguration {
    var configuration = base()
    try configuration.apply(changes: lines)
    return configuration
  }

  @Test func wordsAndLines() throws {
    #expect(try changed(#"CMD ["a", "b c"]"#).command == ["a", "b c"])
    #expect(try changed("cmd echo  $HOME ").command == ["/bin/sh", "-c", "echo  $HOME"])
    #expect(try changed("CMD=/bin/x").command == ["/bin/sh", "-c", "/bin/x"])
    #expect(try changed("CMD []").command == [])
    // An entrypoint takes the command that was there, not the one that is given too.
    let entry = try changed(#"ENTRYPOINT ["e"]"#)
    #expect(entry.entrypoint == ["e"] && entry.command == [])
    #expect(try changed(#"CMD ["c"]"#, #"ENTRYPOINT ["e"]"#).command == ["c"])
  }

  @Test func pairs() throws {
    #expect(
      try changed(#"ENV A=2 B="two words" C='x\y' D=a\ b"#).environment == [
        "PATH=/bin", "A=2", "B=two words", #"C=x\y"#, "D=a b",
      ])
    #expect(try changed("ENV KEY the whole rest ").environment.last == "KEY=the whole rest")
    #expect(try changed("ENV EMPTY=").environment.last == "EMPTY=")
    #expect(try changed(#"LABEL a.b=c "d e"=f"#).labels == ["a.b": "c", "d e": "f"])
  }

  @Test func places() throws {
    #expect(try changed("EXPOSE 80 53/udp", "EXPOSE 80/tcp").exposedPorts == ["53/udp", "80/tcp"])
    #expect(try changed("VOLUME /a /b", #"VOLUME ["/b", "/c d"]"#).volumes == ["/a", "/b", "/c d"])
    #expect(try changed("WORKDIR sub").workingDirectory == "/srv/sub")
    #expect(try changed("WORKDIR /x", "WORKDIR y").workingDirectory == "/x/y")
    #expect(try changed("USER 5:6").user == "5:6" && changed("STOPSIGNAL SIGQUIT").stopSignal == "SIGQUIT")
  }

  @Test(arguments: [
    "", "CMD", "CMD ", " CMD x", "RUN x", "ONBUILD RUN x", "HEALTHCHECK NONE", "CMD [1]", "CMD [", "ENV A", "ENV =x",
    "ENV A=\"x", "ENV A=x\\", "ENV A=1 B", "LABEL x",
  ])
  func whatIsNoChangeIsQuoted(_ line: String) {
    var configuration = base()
    #expect { try configuration.apply(changes: [line]) } throws: { error in
      (error as? FormatError).map { line.isEmpty || $0.offending.hasPrefix(FormatError.presentable(line).prefix(8)) }
        ?? false
    }
  }

  /// What this library knows nothing of stays in the document, and what was taken away goes.
  @Test func unknownFieldsStay() throws {
    let text = """
      {"architecture":"amd64","os":"linux","x":{"y":1},"config":{"Healthcheck":{"Test":["NONE"]},"Cmd":["a"],"User":"me"},
      "rootfs":{"type":"layers","diff_ids":[]}}
      """
    let document = try JSONNode.parse(Array(text.utf8), source: "").value
    var configuration = try ImageConfiguration.parse(Array(text.utf8))
    configuration.user = ""
    try configuration.apply(changes: [#"CMD ["b"]"#])
    let json = configuration.json(over: document)
    #expect(json["x"]?["y"] == 1)
    #expect(json["config"]?["Healthcheck"]?["Test"] == ["NONE"])
    #expect(json["config"]?["Cmd"] == ["b"])
    #expect(json["config"]?["User"] == nil)
  }
}
