import CLinux
import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryTasks

/// Calls that the stub answers in the guest's own process, once the sentry has led their sites to it.
extension NotificationPlatform {
  /// What answers a call.
  private enum Way {
    /// A word of the page, by its offset there.
    case word(UInt64)
    case stub
  }

  /// - Returns: nil for a call that only the sentry answers.
  private static func way(_ number: Int32) -> Way? {
    switch number {
    case 39: .word(4)
    case 110: .word(8)
    case 102: .word(12)
    case 107: .word(16)
    case 104: .word(20)
    case 108: .word(24)
    case 111: .word(28)
    case 0, 2, 3, 4, 5, 6, 8, 13, 16, 17, 21, 72, 89, 257, 262, 267, 269: .stub
    default: nil
    }
  }

  /// Whether the stub may come to answer the call, be it not always.
  static func mayAnswerInStub(_ number: Int32) -> Bool { way(number) != nil }

  /// Calls that are told of descriptors alone, or may be.
  private static func asksDescriptors(_ number: Int32) -> Bool { [0, 5, 8, 16, 72, 262].contains(number) }

  /// Whether what is written for the process could not come to another one, that is just being made.
  private func isAlone(_ task: Task) -> Bool {
    task.group.answers.users == 1 && !births.contains { $0.parent.group === task.group && !$0.isThread }
  }

  /// Before a call is looked at: ids are told at once, so that only the first call of a kind comes here.
  func beginAnswer(_ number: Int32, _ place: UInt64, _ task: Task) {
    task.group.answers.isAnswerable = false
    guard !task.group.answers.isOff, let way = Self.way(number), isAlone(task) else { return }
    let state = task.group.answers.sites.state(of: place)
    guard case .word = way else {
      // Of files it is told once there is something to tell; a site that is led already wants its page back after a fork.
      if state == .led { task.group.answers.fill(task) }
      return
    }
    task.group.answers.fill(task)
    // A process asks for its number again and again, for the others mostly once.
    if number == 39 || state == .seen { return lead(number, place, task, way) }
    if state == nil { task.group.answers.sites.set(place, .seen) }
  }

  /// Before a call is answered, while its thread sleeps in it: the stub could have answered it, and shall do so the next time.
  func leadNext(_ call: Call, _ task: Task) {
    task.group.answers.isAnswerable = false
    guard answersInStub, !task.group.answers.isOff, let way = Self.way(call.number),
      task.group.answers.sites.hadChance(call.instructionPointer), isAlone(task)
    else { return }
    task.group.answers.fill(task)
    if call.number == 13 { task.group.answers.tell(defaults: task.group.actions.untouched.bits) }
    lead(call.number, call.instructionPointer, task, way)
    if Self.asksDescriptors(call.number), task.group.answers.sites.state(of: call.instructionPointer) == .led {
      task.group.answers.leadsStatus = true
    }
  }

  /// Before a process is made: a copy of the parent's memory must not say that it is the parent. Before a thread is made: what the process
  /// moved by itself while all of it slept in its calls is moved otherwise from now on.
  func prepareAnswers(of birth: Birth) {
    let answers = birth.parent.group.answers
    if birth.isThread {
      leaveCancelled(birth.parent)
      return answers.expectThread(sharesDescriptors: birth.sharesDescriptors)
    }
    answers.forget()
    if birth.flags & 0x100 == 0 {
      birth.child.group.answers = answers.copy()
    } else {
      answers.share()
      birth.child.group.answers = answers
    }
  }

  /// A thread ends, or its process: then nothing need be taken back.
  func endAnswers(of task: Task, wholeGroup: Bool) {
    if wholeGroup { endAnswers(of: task.group) } else { task.group.answers.leaves(task) }
  }
  func endAnswers(of group: ThreadGroup) { if group.answers.users == 1 { group.answers.gone() } }

  /// execve(2) has given the process another address space.
  func renewAnswers(of group: ThreadGroup) {
    group.answers.leave()
    if group.answers.users == 0 { group.answers.gone() }
    let isFiltered = group.answers.isFiltered
    group.answers = StubAnswers()
    if isFiltered { group.answers.giveWayToFilter() }
  }

  /// A process of several threads keeps its text: another one may be executing it.
  private func lead(_ number: Int32, _ place: UInt64, _ task: Task, _ way: Way) {
    let answers = task.group.answers
    if let state = answers.sites.state(of: place), state != .seen { return }
    guard task.group.tasks.count == 1, !births.contains(where: { $0.parent.group === task.group }) else { return }
    guard let site = CallSite(end: place, number: number, task.memory), !isWritable(site, task) else {
      return answers.sites.set(place, .refused)
    }
    if site.window != nil {
      leadFar(site, place, task)
    } else {
      let isWritten = write(site, task, way)
      answers.sites.set(place, isWritten ? .led : .refused)
      if isWritten, site.cancelled != nil { answers.sites.cancelled.append(site.start) }
    }
    if answers.sites.state(of: place) == .led, site.form == nil { leadOthers(number, place, task, way) }
  }

  /// The C library's other site for the same call, which it takes once there are threads: then it is too late.
  private func leadOthers(_ number: Int32, _ place: UInt64, _ task: Task, _ way: Way) {
    // At the end of the text there is no such site.
    guard Self.isCancellable(number), let code = try? task.memory.bytes(GuestAddress(place), count: 256) else { return }
    let sites = CallSite.others(of: number, in: code, from: place)
    for other in sites.prefix(2) where task.group.answers.sites.state(of: other) == nil {
      guard let site = CallSite(end: other, number: number, task.memory), site.form == nil else { continue }
      if site.window != nil {
        leadFar(site, other, task)
      } else if write(site, task, way) {
        task.group.answers.sites.set(other, .led)
      }
    }
  }
  /// read, open, close, pread64, fcntl, openat (pthreads(7), "Cancellation points").
  private static func isCancellable(_ number: Int32) -> Bool { [0, 2, 3, 17, 72, 257].contains(number) }

  /// Before there is a second thread, which may cancel the first: musl looks then whether that stands between two of its own addresses.
  private func leaveCancelled(_ task: Task) {
    let answers = task.group.answers
    for start in answers.sites.cancelled {
      // Who has changed his text since has it as he made it.
      guard let jump: UInt8 = try? task.memory.load(GuestAddress(start), as: UInt8.self), jump == 0xe9,
        let form = CallSite.Form.all.first(where: \.isCancelled)
      else { continue }
      _ = patch(task, [(start, form.bytes)])
    }
    answers.sites.cancelled = []
  }

  /// Each has its place remembered: a guest makes call sites without end.
  private static let mostFar = 1024

  /// A site whose trampoline has its place: there the stub makes a page when it is next at work.
  private func leadFar(_ site: CallSite, _ place: UInt64, _ task: Task) {
    let answers = task.group.answers
    do throws(Errno) {
      guard answers.sites.farUsed.count < Self.mostFar, let at = site.room(besides: answers.sites.farUsed) else {
        throw .noMemory
      }
      let page = at & ~4095
      if !answers.sites.farPages.contains(page) {
        let isAsked = answers.sites.wanted == page
        let made: UInt64 = isAsked ? try answers.farPage(task) : 0
        guard made == page else {
          answers.sites.looks += 1
          if answers.sites.looks > 16 { throw .noMemory }
          if !isAsked { try answers.want(page, task) }
          answers.sites.wanted = page
          return answers.sites.postpone(place)
        }
        answers.sites.farPages.append(page)
      }
      guard let jump = site.jump(to: at), let code = Trampoline.stub(for: site, at: at),
        patch(task, [(at, code), (site.start, jump)])
      else { throw .noMemory }
      answers.sites.farUsed.append(at)
      answers.sites.set(place, .led)
    } catch { answers.sites.set(place, .refused) }
  }

  private func write(_ site: CallSite, _ task: Task, _ way: Way) -> Bool {
    let answers = task.group.answers
    guard let areas = try? answers.areas(task) else { return false }
    let room = min(areas.2, StubProgram.area) / UInt64(Trampoline.size)
    for (index, area) in [areas.0, areas.1].enumerated() where area != 0 {
      let used = index == 0 ? answers.sites.used.0 : answers.sites.used.1
      let at = area &+ UInt64(used * Trampoline.size)
      guard used < room, let jump = site.jump(to: at), let code = trampoline(way, site, at) else { continue }
      guard patch(task, [(at, code), (site.start, jump)]) else { return false }
      if index == 0 { answers.sites.used.0 += 1 } else { answers.sites.used.1 += 1 }
      return true
    }
    return false
  }

  /// Text that the process itself writes to may be another's too, for whom no trampoline lies there. Of what it cannot write to, the host's
  /// kernel lets only private mappings be written from afar.
  private func isWritable(_ site: CallSite, _ task: Task) -> Bool {
    do throws(Errno) {
      try task.memory.store(site.first, at: GuestAddress(site.start))
      return true
    } catch { return false }
  }

  private func trampoline(_ way: Way, _ site: CallSite, _ place: UInt64) -> [UInt8]? {
    switch way {
    case .word(let offset) where site.form == nil:
      Trampoline.word(StubAnswers.page.bits &+ offset, for: site, at: place)
    default: Trampoline.stub(for: site, at: place)
    }
  }

  /// Writes to memory that the process itself cannot write to (proc_pid_mem(5)): of private mappings it becomes the process's own, others
  /// the host's kernel refuses.
  private func patch(_ task: Task, _ pieces: [(at: UInt64, bytes: [UInt8])]) -> Bool {
    do throws(SystemError) {
      let memory = try File.open("\(task.hostID)/mem", O_WRONLY, at: space.processes.rawValue)
      for piece in pieces where !write(piece.bytes, at: piece.at, memory.rawValue) { return false }
      return true
    } catch {
      // It is gone, or this machine lets nobody.
      return false
    }
  }

  private func write(_ bytes: [UInt8], at place: UInt64, _ memory: Int32) -> Bool {
    // SAFETY: the array lives across the call.
    let count = unsafe bytes.span.withUnsafeBytes { bytes in
      systemCall(Int(SYS_pwrite64), word(memory), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count), UInt(place))
    }
    return count == bytes.count
  }
}
