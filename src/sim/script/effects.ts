/** What commands in backticks do to the stack, and what they ask of it. */
import type { ConfigOverrides } from '../../base/config.ts'
import type { AttachedInterface } from '../../stack/attached.ts'
import type { Stack } from '../../stack/stack.ts'
import type { Effect } from './ast.ts'
import type { ScriptLink } from './link.ts'
import { fail, skip } from './stop.ts'

/** What is known before there is a stack. */
export interface Beginning {
  config: ConfigOverrides
  /** Effects that need a stack. */
  rest: Effect[]
}

/** Sorts the effects of the commands before the first event: those of the config make the stack. */
export function beginning(config: ConfigOverrides, effects: readonly Effect[]): Beginning {
  const out: { [section: string]: { [name: string]: unknown } } = {}
  for (const [section, values] of Object.entries(config)) out[section] = { ...(values as object) }
  const rest: Effect[] = []
  for (const e of effects) {
    if (e.kind === 'config') out[e.section] = { ...out[e.section], ...e.values }
    else rest.push(e)
  }
  return { config: out as ConfigOverrides, rest }
}

/** Linux's names (TcpExt) of what the stack counts by another. */
const COUNTERS: { readonly [name: string]: string } = {
  OutOfWindowIcmps: 'dropIcmpOutOfWindow',
  BeyondWindow: 'tcpBeyondWindow',
  TCPZeroWindowDrop: 'tcpZeroWindowDrops',
}

export class Surroundings {
  /** Counters when they were last marked. */
  private marked: { readonly [name: string]: number } = {}

  constructor(
    private readonly stack: Stack,
    private readonly iface: AttachedInterface,
    private readonly link: ScriptLink,
    private readonly disk: Map<string, number>,
    /** Of packets on the wire. */
    private readonly wireVersion: 4 | 6,
    /** Lets time pass. */
    private readonly sleep: (us: number) => void,
    private readonly limitConnects: (ms: number) => void,
    /** Keys of TCP-MD5 are the sockets'. */
    private readonly setKey: (source: string, destination: string, key: string | null) => void,
  ) {}

  apply(effects: readonly Effect[]): void {
    for (const e of effects) this.one(e)
  }

  private one(e: Effect): void {
    const { stack, iface } = this
    switch (e.kind) {
      case 'config': {
        const section = stack.config[e.section] as unknown as { [name: string]: unknown }
        for (const [name, value] of Object.entries(e.values)) {
          if (!(name in section)) skip(`the stack has no option ${e.section}.${name}`)
          section[name] = value
        }
        return
      }
      case 'config-bit': {
        const section = stack.config[e.section] as unknown as { [name: string]: number }
        section[e.name] = e.on ? section[e.name] | e.bit : section[e.name] & ~e.bit
        return
      }
      case 'route':
        if (e.family !== null && e.family !== this.wireVersion)
          skip(`routes of IPv${e.family} where packets are of IPv${this.wireVersion} are not played`)
        // There is one way to the peer and nobody on it who would say that less fits: a lock changes nothing. The MSS follows from the MTU.
        if (e.advertisedMss !== null && e.advertisedMss !== (e.mtu ?? iface.iface.mtu) - (this.wireVersion === 6 ? 60 : 40))
          skip('routes with an MSS that is not their MTU less headers are not played')
        if (e.mtu !== null) this.setMtu(e.mtu)
        if (e.initialWindowSegments !== null) stack.config.tcp.initialWindowSegments = e.initialWindowSegments
        if (e.congestion !== null) stack.config.tcp.congestion = e.congestion
        if (e.rtoMinMs !== null) stack.config.tcp.rtoMinMs = e.rtoMinMs
        return
      case 'link-mtu':
        this.setMtu(e.mtu)
        return
      case 'link-state':
        iface.setUp(e.up)
        return
      case 'link-queue':
        this.link.full = e.full
        return
      case 'file':
        if (e.bytes === null) this.disk.delete(e.path)
        else this.disk.set(e.path, e.bytes)
        return
      case 'flush-metrics':
        stack.ipv4.pathMtu.clear()
        stack.tcp.fastOpenCache.clear()
        return
      case 'connect-limit':
        this.limitConnects(e.ms)
        return
      case 'forget-time-wait':
        stack.tcp.timeWaits.clear()
        return
      case 'sleep':
        this.sleep(e.us)
        return
      case 'count-sockets':
        this.count(e.state, e.expected)
        return
      case 'counters-marked':
        this.marked = this.counters()
        return
      case 'counter-moved': {
        const now = this.counters()
        if (!(e.name in now)) skip(`counter ${e.name} is not kept`)
        const moved = now[e.name] - (this.marked[e.name] ?? 0)
        if (e.by === null ? moved === 0 : moved !== e.by)
          fail(`counter ${e.name}: expected to move${e.by === null ? '' : ` by ${e.by}`}, it did by ${moved}`)
        return
      }
      case 'md5-key':
        this.setKey(e.source, e.destination, e.key)
        return
      case 'md5-keys-flushed':
        this.setKey('', '', null)
        return
    }
  }

  private counters(): { [name: string]: number } {
    const { stack } = this
    const out = { ...(stack.tcp.counters.snapshot(false) as { [name: string]: number }) }
    for (const [theirs, ours] of Object.entries(COUNTERS)) out[theirs] = out[ours]
    return out
  }

  /** There is one way to the peer: its MTU is the interface's. */
  private setMtu(mtu: number): void {
    this.iface.iface.mtu = mtu
    this.stack.ipLayer.changed()
  }

  private count(state: string | null, expected: number | null): void {
    const { stack } = this
    const states = stack.connections().map((c) => c.state)
    for (const l of stack.tcp.allListeners()) if (!l.closed) states.push('LISTEN')
    const found = state === null ? states.length : states.filter((s) => s === state).length
    if (expected === null ? found === 0 : found !== expected)
      fail(
        `sockets${state === null ? '' : ` in ${state}`}: expected ${expected ?? 'some'}, there are ${found} (${states.join(', ') || 'none'})`,
      )
  }
}
