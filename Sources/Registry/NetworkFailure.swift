import AsyncHTTPClient
import Formats
import Images
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// What a failed connection means, in a person's words.
enum NetworkFailure {
  /// Whether trying again may help.
  static func isOfTheMoment(_ error: any Error) -> Bool {
    if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError { return false }
    if let error = error as? HTTPClientError {
      return [.readTimeout, .remoteConnectionClosed, .connectTimeout, .deadlineExceeded, .writeTimeout].contains(error)
    }
    if let error = error as? NIOConnectionError {
      // A name that does not resolve, and a port where nobody listens, stay so.
      return error.dnsAError == nil && !"\(error)".contains("refused")
    }
    if let error = error as? IOError { return error.errnoCode != 111 }
    return error is ChannelError || error as? HTTPParserError == .invalidEOFState
  }

  /// Whether asking again may bring another answer: too many requests, and failures of a moment.
  static func isOfTheMoment(_ status: HTTPResponseStatus) -> Bool {
    [408, 429, 500, 502, 503, 504].contains(status.code)
  }

  static func explain(_ error: (any Error)?, _ url: String, _ endpoint: RegistryEndpoint) -> ImageError {
    let place = URLParts(url).map { $0.host + ($0.port.map { ":\($0)" } ?? "") } ?? endpoint.reference.registry
    guard let error else { return ImageError("cannot reach \(place)") }
    if let error = error as? ImageError { return error }
    let text = "\(error)"
    if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError {
      if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate")
        || text.contains("HostnameMismatch") || text.contains("failedToValidateHostname")
      {
        return ImageError(
          .damaged,
          "the certificate of \(place) is not one that is trusted here: give its authority's certificate by --cert-dir, or --tls-verify=false"
        )
      }
      return ImageError("no TLS connection to \(place) (\(FormatError.presentable(text)))")
    }
    if let error = error as? NIOConnectionError {
      if error.dnsAError != nil || error.dnsAAAAError != nil {
        return ImageError("the host \(place) is not known (DNS)")
      }
      if text.contains("refused") { return ImageError("\(place) refuses the connection: is a registry there?") }
      return ImageError("cannot connect to \(place) (\(FormatError.presentable(text)))")
    }
    if let error = error as? HTTPClientError {
      switch error {
      case .connectTimeout, .deadlineExceeded: return ImageError("\(place) does not answer in time")
      case .readTimeout: return ImageError("\(place) has sent nothing for \(endpoint.stallSeconds) seconds")
      case .writeTimeout: return ImageError("\(place) has taken nothing for \(endpoint.stallSeconds) seconds")
      case .remoteConnectionClosed: return ImageError("\(place) closes the connection")
      default: return ImageError("cannot speak with \(place): \(error.shortDescription)")
      }
    }
    if error as? HTTPParserError == .invalidEOFState {
      return ImageError("\(place) closes the connection in the middle")
    }
    if text.contains("refused") { return ImageError("\(place) refuses the connection: is a registry there?") }
    // Its module is not one that is linked by name here.
    if String(reflecting: type(of: error)).hasPrefix("NIOSOCKS.") {
      return ImageError("the SOCKS proxy does not lead to \(place) (\(FormatError.presentable(text)))")
    }
    return ImageError("cannot reach \(place): \(FormatError.presentable(text))")
  }
}
