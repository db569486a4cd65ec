import Formats
import Linux
import Walls

/// Hooks of a container that has begun or is gone. What fails there is told and changes nothing: the container runs, or has ended, all the
/// same (runtime.md, "Lifecycle").
enum LateHooks {
  static func run(_ moment: HookConfiguration.Moment, of container: RuntimeContainer, status: RuntimeContainer.Status) {
    // The configuration as it was kept at `create`; a container that was never whole has none, and no hooks.
    guard let text = try? File.contents(container.directory + "/config.json", limit: 16 << 20) else { return }
    do throws(FormatError) {
      let configuration = try RuntimeConfiguration.read(text, source: "config.json")
      run(moment, of: configuration.hooks, container, status)
    } catch {
      warn("\(error)", container)
    }
  }

  static func run(
    _ moment: HookConfiguration.Moment, of hooks: HookConfiguration, _ container: RuntimeContainer,
    _ status: RuntimeContainer.Status
  ) {
    if hooks[moment].isEmpty { return }
    let state = container.state(status).bytes()
    do throws(WallError) { try HookRunner.run(moment, of: hooks, state: state) } catch {
      warn(error.message, container)
    }
  }

  private static func warn(_ message: String, _ container: RuntimeContainer) {
    // With nobody to read standard error there is nothing more to do.
    try? File.writeAll(2, RuntimeLog.standard.line("warning", "container \(container.id): \(message)"))
  }
}
