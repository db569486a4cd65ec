public import Formats

/// What a person is told while an image comes in.
public protocol Progress: AnyObject, Sendable {
  func begin(_ layer: Descriptor)
  func advance(_ layer: Descriptor, to bytes: Int64)
  func finish(_ layer: Descriptor, isNew: Bool)
  func say(_ line: String)
}
