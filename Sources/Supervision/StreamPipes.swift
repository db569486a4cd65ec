import CLinux
import Linux
public import Walls

/// Pipes for a box whose streams are relayed: the far ends go to the wall, the near ends stay here.
public final class StreamPipes {
  private var farInput: SharedDescriptor?
  private var farOutput: SharedDescriptor?
  private var farError: SharedDescriptor?
  /// Writes to the program's input; nil without one, or once it was closed.
  var input: SharedDescriptor?
  let output: SharedDescriptor
  let error: SharedDescriptor

  /// Without `interactive` the program's input is /dev/null.
  public init(interactive: Bool) throws(WallError) {
    do throws(SystemError) {
      if interactive {
        let pipe = try DescriptorPair.pipe().release()
        farInput = SharedDescriptor(FileDescriptor(owning: pipe.first))
        input = SharedDescriptor(FileDescriptor(owning: pipe.second))
        try FileDescriptor.setNonBlocking(pipe.second, true)
      } else {
        farInput = SharedDescriptor(try File.open("/dev/null", O_RDONLY))
      }
      let out = try DescriptorPair.pipe().release()
      output = SharedDescriptor(FileDescriptor(owning: out.first))
      farOutput = SharedDescriptor(FileDescriptor(owning: out.second))
      let err = try DescriptorPair.pipe().release()
      error = SharedDescriptor(FileDescriptor(owning: err.first))
      farError = SharedDescriptor(FileDescriptor(owning: err.second))
      try FileDescriptor.setNonBlocking(out.first, true)
      try FileDescriptor.setNonBlocking(err.first, true)
    } catch {
      throw WallError("pipes for the sandbox's streams", error)
    }
  }

  /// For `Wall.create`.
  public var streams: Streams {
    .descriptors(
      input: farInput?.rawValue ?? -1, output: farOutput?.rawValue ?? -1, error: farError?.rawValue ?? -1)
  }

  /// Once the box has its own copies: the end of its output can then be seen. `Supervisor.run` and `Monitor.run` do it.
  public func closeFarEnds() {
    farInput = nil
    farOutput = nil
    farError = nil
  }
}
