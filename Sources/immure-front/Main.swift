import Commands
import Linux

/// What `immure` hands over: images, registries, and the texts made from the table of options.
@main
enum Main {
  static func main() {
    Process.exit(Front.main())
  }
}
