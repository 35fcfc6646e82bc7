/** A switch on virtual time with stations that send what they are told and remember what they hear. */

import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { type CreateSwitchOptions, createHub, createSwitch } from '../../src/switch/create.ts'
import type { SwitchPortOptions } from '../../src/switch/port.ts'
import type { Switch } from '../../src/switch/switch.ts'
import { RecordingSink } from './recording-sink.ts'

export const BROADCAST = 'ff:ff:ff:ff:ff:ff'
/** A station's address by its number. */
export const station = (n: number): string => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`
const bytesOf = (mac: string): number[] => mac.split(':').map((part) => Number.parseInt(part, 16))

/** A frame of `length` bytes with a number in it; `tags` are [tpid, tci] pairs. */
export function frame(
  to: string,
  from: string,
  n = 0,
  tags: readonly (readonly [number, number])[] = [],
  length = 60,
): Uint8Array {
  const head = [...bytesOf(to), ...bytesOf(from)]
  for (const [tpid, tci] of tags) head.push(tpid >> 8, tpid & 255, tci >> 8, tci & 255)
  head.push(0x88, 0xb5, n >> 8, n & 255)
  const out = new Uint8Array(Math.max(length, head.length)).fill(0x5a)
  out.set(head)
  return out
}

export class Station {
  readonly sink: RecordingSink

  constructor(
    readonly link: NetIf,
    host: VirtualHost,
  ) {
    this.sink = new RecordingSink(host)
    link.attach(this.sink)
  }

  /** A copy of the bytes, lent and then overwritten. */
  send(bytes: Uint8Array, meta = 0): boolean {
    const buf = new Uint8Array(bytes.length + 64).fill(0xa5)
    buf.set(bytes, 32)
    const taken = this.link.send(buf, 32, 32 + bytes.length, meta)
    buf.fill(0x11)
    return taken
  }

  /** What has arrived since the last call. */
  heard(): Uint8Array[] {
    this.sink.receiving = true
    while (this.link.receive(64));
    this.sink.receiving = false
    this.sink.metas.length = 0
    return this.sink.frames.splice(0)
  }
}

export class SwitchLab {
  readonly sw: Switch

  constructor(
    options: CreateSwitchOptions & { hub?: boolean } = {},
    readonly host = new VirtualHost({ seed: 5 }),
  ) {
    const { hub = false, ...rest } = options
    const all = { host, random: host.random, ...rest }
    this.sw = hub ? createHub(all) : createSwitch(all)
  }

  /** A station at a port in memory. */
  station(name: string, options?: SwitchPortOptions): Station {
    return new Station(this.sw.port(name, options), this.host)
  }

  /** A station at the far end of a link that the switch joins. */
  joined(name: string, pipe: PipeOptions, options?: SwitchPortOptions): Station {
    const [near, far] = createPipe({ ...pipe, names: [name, `${name}.far`] })
    this.sw.join(near, options)
    return new Station(far, this.host)
  }

  /** Lets a moment pass. */
  settle(ms = 0): void {
    this.host.advance(ms)
  }

  counter(port: string, name: string): number {
    return this.sw.counters()[port][name]
  }
}
