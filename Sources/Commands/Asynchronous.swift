import Dispatch
import Images
import Synchronization

/// The one place where a synchronous command waits for tasks: `async main` costs tens of millions of instructions at exit.
enum Asynchronous {
  static func wait<Value: Sendable>(
    for work: @Sendable @escaping () async throws(ImageError) -> Value
  ) throws(ImageError) -> Value {
    let outcome = Outcome<Value>()
    let done = DispatchSemaphore(value: 0)
    Task.detached {
      let result: Result<Value, ImageError>
      do throws(ImageError) { result = .success(try await work()) } catch { result = .failure(error) }
      outcome.value.withLock { $0 = result }
      done.signal()
    }
    done.wait()
    guard let result = outcome.value.withLock({ $0 }) else { throw ImageError("the work ended without a result") }
    return try result.get()
  }

  private final class Outcome<Value: Sendable>: Sendable {
    let value = Mutex<Result<Value, ImageError>?>(nil)
  }
}
