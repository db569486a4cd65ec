import Formats
import Testing

@Suite struct AuthenticationChallengeTests {
  @Test(arguments: [
    (
      #"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull""#,
      [
        AuthenticationChallenge(
          scheme: "bearer",
          parameters: [
            "realm": "https://auth.docker.io/token", "service": "registry.docker.io",
            "scope": "repository:library/x:pull",
          ])
      ]
    ),
    (#"Basic realm="rig""#, [AuthenticationChallenge(scheme: "basic", parameters: ["realm": "rig"])]),
    (
      #"Basic realm="a, \"b\"" , Bearer realm=x,error="invalid_token""#,
      [
        AuthenticationChallenge(scheme: "basic", parameters: ["realm": #"a, "b""#]),
        AuthenticationChallenge(scheme: "bearer", parameters: ["realm": "x", "error": "invalid_token"]),
      ]
    ),
    ("Negotiate", [AuthenticationChallenge(scheme: "negotiate", parameters: [:])]),
    ("Bearer REALM = \"y\"", [AuthenticationChallenge(scheme: "bearer", parameters: ["realm": "y"])]),
  ])
  func reads(_ text: String, _ expected: [AuthenticationChallenge]) throws {
    #expect(try AuthenticationChallenge.parse(text) == expected)
  }

  @Test(arguments: [
    #"Bearer realm="x"#, #"Bearer realm="a",realm="b""#, "Bearer realm=", "\"", "Bearer realm=\"a\u{1}\"",
    "Bearer realm=\"a\\\r\n\"",
    String(repeating: "a,", count: 20), String(repeating: "x", count: 9000),
  ])
  func refuses(_ text: String) {
    #expect(throws: FormatError.self) { try AuthenticationChallenge.parse(text) }
  }
}
