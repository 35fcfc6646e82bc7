/**
 * Plays the events of a script on a stack.
 *
 * Theory of operation. Time is virtual: it stands still but where the script waits, for an event that is due or for a packet that is expected.
 * What the stack sends goes to a queue; an expected packet takes the next of its connection from there and is compared, or waits until one
 * comes. Packets of other connections are passed over, as packetdrill does. A call that blocks is tried again whenever something happened;
 * the events after it go on meanwhile. Packets that nobody expects before the script ends are not looked at.
 */
import type { Stack } from '../../stack/stack.ts'
import type { VirtualHost } from '../virtual-host.ts'
import { ACK, type Code, type PacketEvent, type ScriptEvent, SYN, type TcpSpec } from './ast.ts'
import type { Files } from './calls.ts'
import { type CodeValue, runCode } from './code-run.ts'
import { continues, flowFault, ipFault, joined, tcpFault } from './compare.ts'
import type { Surroundings } from './effects.ts'
import { Endpoint } from './endpoint.ts'
import { fastOpenRoom, isFastOpenAllowed } from './fast-open.ts'
import { icmpNumbers } from './icmp-names.ts'
import { injected } from './inject.ts'
import type { ScriptLink } from './link.ts'
import { type LivePacket, readPacket } from './live-packet.ts'
import { errnoNumber } from './numbers.ts'
import { packetText } from './packet-text.ts'
import { CallPlayer } from './play-calls.ts'
import { PosixSocket } from './posix-socket.ts'
import type { Profile } from './profiles.ts'
import type { Settings } from './settings.ts'
import type { SocketPlace } from './socket-place.ts'
import { fail, Stop, skip } from './stop.ts'
import { infoValue, memoryValue } from './tcp-info.ts'
import { Timeline } from './timeline.ts'
import { type Due, dueAt, seconds, timingFault, toleranceUs } from './timing.ts'

/** How much longer than its time an expected packet is waited for, so that what comes late can be told. */
const LATE_US = 5_000_000
/** A packet that may come at any time must come in this. */
const ANY_TIME_US = 3 * 3600 * 1_000_000

export class Player {
  private readonly time: Timeline
  private readonly calls: CallPlayer
  private before: { dueUs: number; event: ScriptEvent } | null = null
  private endpoint: Endpoint | null = null
  private readonly endpoints: Endpoint[] = []
  private readonly packets: LivePacket[] = []
  private nextPort = 50_000
  private readonly variables = new Map<string, CodeValue>()
  private readonly files: Files
  /** Files of zeros that commands make. */
  readonly disk = new Map<string, number>()
  /** Differences that `--non_fatal` lets pass. */
  readonly warnings: string[] = []

  constructor(
    private readonly stack: Stack,
    host: VirtualHost,
    private readonly link: ScriptLink,
    private readonly settings: Settings,
    private readonly profile: Profile,
    private readonly surroundings: () => Surroundings,
  ) {
    this.time = new Timeline(host)
    this.files = {
      platform: profile.platform,
      ipVersion: settings.ipVersion,
      place: this.place(),
      table: new Map(),
      disk: this.disk,
      opened: (s) => {
        this.enter(s)
      },
      listening: (s) => {
        const e = this.of(s)
        e.phase = 'listening'
        e.localPort = s.listener?.localPort ?? 0
      },
      connecting: (s) => {
        const e = this.of(s)
        if (e.phase !== 'new') return
        e.connecting(s.connectPort)
      },
      disconnected: (s) => this.of(s).forget(),
      accepted: (s) => this.accepted(s),
    }
    this.calls = new CallPlayer(this.time, this.files, settings, (text) => this.warnings.push(text))
    this.time.onEvent = () => {
      for (const file of this.files.table.values()) if (file instanceof PosixSocket) file.stamp()
      this.calls.retry()
    }
  }

  private place(): SocketPlace {
    const { settings, profile, stack, time } = this
    return {
      tcp: stack.tcp,
      manners: { ...profile.sockets },
      config: stack.config.tcp,
      isV6: settings.ipVersion !== 'ipv4',
      wireVersion: settings.ipVersion === 'ipv6' ? 6 : 4,
      get hopLimit() {
        return settings.ipVersion === 'ipv6' ? stack.config.ipv6.hopLimit : stack.config.ipv4.ttl
      },
      localAddress: settings.localAddress,
      bindPort: settings.bindPort,
      get nowUs() {
        return time.nowUs
      },
      toleranceUs: settings.toleranceUs,
      remoteAddress: settings.remoteAddress,
      connectPort: settings.connectPort,
      get sendBuffer() {
        return stack.config.tcp.sendBufferInitialBytes
      },
      get receiveBuffer() {
        return stack.config.tcp.receiveBufferInitialBytes
      },
      woken: () => this.calls.retry(),
      get fastOpenAllowed() {
        return isFastOpenAllowed(stack)
      },
      withPorts: (first, last, open) => {
        const { tcp } = stack.config
        const { ephemeralFirst, ephemeralLast } = tcp
        tcp.ephemeralFirst = first > 0 ? first : ephemeralFirst
        tcp.ephemeralLast = last > 0 ? last : ephemeralLast
        try {
          return open()
        } finally {
          tcp.ephemeralFirst = ephemeralFirst
          tcp.ephemeralLast = ephemeralLast
        }
      },
      fastOpenRoom: (noCookie, maxSegment) => fastOpenRoom(stack, settings, noCookie, maxSegment),
      isLocal: (address) => stack.ipLayer.isLocal(address),
      errnoOf: (name) => errnoNumber(name, profile.platform),
    }
  }

  /** How long handshakes of sockets made from now on may take. */
  limitConnects(ms: number): void {
    this.files.place.manners.connectLimitMs = ms
  }

  /** Nothing happens for so long but what happens by itself. */
  sleep(us: number): void {
    this.time.advanceTo(this.time.nowUs + us)
  }

  // ----------------------------------------------------------------- events

  play(events: readonly ScriptEvent[], watch?: (line: string) => void): void {
    for (const event of events) {
      // Consecutive injected packets are counted from each other, not from when the machine got to them.
      const baseUs = this.time.nowUs
      const due = dueAt(event.time, baseUs)
      watch?.(`${due.kind === 'any' ? '*' : seconds(due.us)} ${event.text}`)
      try {
        this.event(event, due, baseUs)
      } catch (stop) {
        if (stop instanceof Stop && !stop.reason.startsWith('line '))
          throw new Stop(stop.result, `line ${event.position.line}: ${stop.reason}`, stop.diff)
        throw stop
      }
      this.before = { dueUs: due.us, event }
    }
    this.calls.finish() // a call that still blocks must return
  }

  private event(event: ScriptEvent, due: Due, baseUs: number): void {
    if (event.kind === 'packet' && event.packet.direction === 'out') {
      this.expectPacket(event, due)
      return
    }
    this.waitFor(due, event)
    switch (event.kind) {
      case 'packet':
        this.inject(event)
        break
      case 'syscall':
        this.calls.call(event, baseUs)
        break
      case 'command':
        this.surroundings().apply(event.command.effects)
        break
      case 'code':
        this.code(event.code)
        break
    }
    this.time.settle()
  }

  private waitFor(due: Due, event: ScriptEvent): void {
    this.time.advanceTo(due.us)
    const what = event.kind === 'packet' ? 'inbound packet' : event.kind === 'syscall' ? 'system call start' : event.kind
    const fault = this.before === null ? null : timingFault(due, this.before.dueUs, this.time.nowUs, what, this.settings)
    if (fault !== null) fail(fault)
  }

  // ---------------------------------------------------------------- sockets

  private enter(socket: PosixSocket | null): Endpoint {
    const e = new Endpoint()
    e.socket = socket
    this.endpoints.push(e)
    this.endpoint = e
    return e
  }

  private of(socket: PosixSocket): Endpoint {
    return this.endpoints.find((e) => e.socket === socket) ?? this.enter(socket)
  }

  private accepted(socket: PosixSocket): void {
    const port = socket.connection!.remotePort
    const e = this.endpoints.find((x) => x.socket === null && x.remotePort === port)
    if (e !== undefined) e.socket = socket
  }

  /** A connection that a packet of the peer begins. */
  private child(irs: number): Endpoint {
    const port = this.endpoint?.localPort ?? 0
    const e = this.enter(null)
    e.phase = 'packet-received'
    e.localPort = port === 0 ? this.settings.bindPort : port
    e.remotePort = this.nextPort++
    e.irs = irs
    return e
  }

  // ---------------------------------------------------------------- packets

  private inject(event: PacketEvent): void {
    const { body } = event.packet
    let e = this.endpoint
    const isTcp = body.kind === 'tcp'
    if (e === null || e.phase === 'listening') e = this.child(isTcp ? body.seq.start : 0)
    else if (e.phase === 'new') e = this.child(0) // nobody listens: the numbers are as they stand
    if (isTcp) {
      if (e.phase === 'synack-sent' && (body.flags & ACK) !== 0) e.phase = 'synack-acked'
      else if (e.phase === 'syn-sent' && (body.flags & (SYN | ACK)) === (SYN | ACK)) {
        e.phase = 'syn-acked'
        e.irs = body.seq.start
      }
    }
    this.learnPorts(e)
    this.link.inject(injected(event.packet, e, this.settings), isTcp ? this.settings.mss : 0)
  }

  /** The SYN of a connection may have left without the script having shown it. */
  private learnPorts(e: Endpoint): void {
    const c = e.socket?.connection
    if (e.localPort === 0 && c !== undefined && c !== null) e.localPort = c.localPort
  }

  private take(): void {
    for (const sent of this.link.sent.splice(0)) this.packets.push(readPacket(sent))
  }

  /** The next packet of a connection, waited for until then. Others are passed over. */
  private nextPacket(e: Endpoint, untilUs: number): LivePacket | null {
    for (;;) {
      this.take()
      while (this.packets.length > 0) {
        const packet = this.packets.shift()!
        if (e.owns(packet)) return packet
      }
      if (!this.time.step(untilUs) && this.link.sent.length === 0) return null
    }
  }

  private expectPacket(event: PacketEvent, due: Due): void {
    const { body } = event.packet
    const e = this.endpoint ?? fail('no socket for this packet')
    if (body.kind === 'udp') skip('UDP is not played')
    if (body.kind === 'tcp') {
      if (e.phase === 'connecting' && (body.flags & (SYN | ACK)) === SYN) {
        e.phase = 'syn-sent'
        e.scriptIss = body.seq.start
      } else if (e.phase === 'packet-received' && (body.flags & (SYN | ACK)) === (SYN | ACK)) e.scriptIss = body.seq.start
    }
    const beforeUs = this.before?.dueUs ?? null
    const limit =
      due.kind === 'any'
        ? this.time.nowUs + ANY_TIME_US
        : Math.max(due.endUs, this.time.nowUs) + toleranceUs(due, beforeUs, this.settings) + LATE_US
    const packet = this.nextPacket(e, limit)
    const expected = `expected: ${seconds(due.kind === 'any' ? this.time.nowUs : due.us)} ${event.text}`
    if (packet === null) {
      this.differ('no packet came', `${expected}\n  actual: nothing until ${seconds(this.time.nowUs)}`)
      return
    }
    if (body.kind === 'tcp') this.gather(packet, body, e, limit)
    if (packet.body.kind === 'tcp' && e.phase === 'packet-received' && (packet.body.flags & (SYN | ACK)) === (SYN | ACK)) {
      e.phase = 'synack-sent'
      e.liveIss = packet.body.seq | 0
    }
    const atUs = this.time.ofHost(packet.atUs)
    const fault =
      packet.fault ??
      ipFault(event.packet.ip, packet) ??
      (packet.body.kind === 'tcp' ? flowFault(packet, e) : null) ??
      this.bodyFault(event, packet, e) ??
      timingFault(due, beforeUs, atUs, 'outbound packet', this.settings)
    if (fault === null) return
    const ace = body.kind === 'tcp' && body.ace
    this.differ(fault, `${expected}\n  actual: ${seconds(atUs)} ${packetText(packet, e, ace)}`)
  }

  private bodyFault(event: PacketEvent, packet: LivePacket, e: Endpoint): string | null {
    const { body } = event.packet
    const live = packet.body
    if (body.kind === 'tcp' && live.kind === 'tcp') return tcpFault(body, live, e, this.settings, this.profile)
    if (body.kind === 'icmp' && live.kind === 'icmp') {
      const { type, code } = icmpNumbers(body, this.settings.ipVersion === 'ipv6')
      if (type !== live.type) return `icmp type: expected ${type}, got ${live.type}`
      return code === live.code ? null : `icmp code: expected ${code}, got ${live.code}`
    }
    return `expected ${body.kind}, got ${live.kind}`
  }

  /** Puts segments together until they are as long as the packet of the script. */
  private gather(packet: LivePacket, spec: TcpSpec, e: Endpoint, untilUs: number): void {
    if (packet.body.kind !== 'tcp' || this.settings.strictSegments) return
    while (packet.body.length > 0 && packet.body.length < spec.seq.length) {
      const next = this.nextPacket(e, untilUs)
      if (next === null) return
      if (next.body.kind !== 'tcp' || next.fault !== null || next.tos !== packet.tos || !continues(packet.body, next.body)) {
        this.packets.unshift(next)
        return
      }
      packet.body = joined(packet.body, next.body)
      packet.atUs = next.atUs
    }
  }

  private differ(reason: string, diff: string): void {
    if (!this.settings.packetsMayDiffer) fail(reason, diff)
    this.warnings.push(`${reason}\n${diff}`)
  }

  // ------------------------------------------------------------------- code

  private code(code: Code): void {
    const socket = this.endpoint?.socket ?? null
    const info = socket?.connection?.info() ?? null
    const result = runCode(code, this.variables, (name) => infoValue(name, info) ?? memoryValue(name, socket))
    if (result.kind === 'unsupported') skip(result.reason)
    if (result.kind === 'failed') fail(result.reason)
  }
}
