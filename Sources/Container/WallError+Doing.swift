import Linux
import Walls

/// Runs system calls; one that fails becomes a wall's error that begins with what was being done.
func doing<R: ~Copyable>(_ what: @autoclosure () -> String, _ body: () throws(SystemError) -> R) throws(WallError) -> R {
  do throws(SystemError) { return try body() } catch { throw WallError(what(), error) }
}
