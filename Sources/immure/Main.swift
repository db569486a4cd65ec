import Launch
import Linux

/// The command a person types.
@main
enum Main {
  static func main() {
    Process.exit(Launch.main())
  }
}
