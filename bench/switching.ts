/**
 * A switch between pipes: what a frame costs that it passes on. `node switching.js WORKLOAD SECONDS`, one JSON line out.
 *
 * Frames are put into one port, 64 at a time as a turn takes them, and taken out of the others; `us` is the switch's turn alone, `us_with_links` has the
 * stations at both ends in it. Time does not pass, so nothing ages, and limits of floods are off.
 */
import { allocate } from '../src/base/arena.ts'
import { put16, put32 } from '../src/base/bytes.ts'
import { CSUM_PARTIAL, CSUM_VALID, frameMeta, GSO_TCP4, type NetIf } from '../src/netif/netif.ts'
import { VirtualHost } from '../src/sim/virtual-host.ts'
import { createSwitch } from '../src/switch/create.ts'
import type { SwitchPortOptions } from '../src/switch/port.ts'
import { CountingSink } from './counting-sink.ts'
import { measureTurns, type Rounds } from './turns.ts'

const BATCH = 64
const AT = 64
const ADDRESSES = 4096

interface Workload {
  ports: number
  /** Bytes of a frame. */
  length: number
  meta: number
  /** Stations behind each port; each frame is for another one. */
  stations: number
  /** The destination is known. */
  known: boolean
  options?: readonly SwitchPortOptions[]
}

const SMALL: Workload = { ports: 2, length: 64, meta: CSUM_VALID, stations: 1, known: true }
const WORKLOADS: { readonly [name: string]: Workload } = {
  small: SMALL,
  full: { ...SMALL, length: 1514 },
  super: { ...SMALL, length: 65_000, meta: frameMeta(CSUM_PARTIAL, GSO_TCP4, 1448) },
  addresses4096: { ...SMALL, stations: ADDRESSES },
  ports16: { ...SMALL, ports: 16 },
  trunk: { ...SMALL, options: [{ vlan: { access: 7 } }, { vlan: { trunk: [7] } }] },
  flood4: { ...SMALL, ports: 5, known: false },
}

function run(name: string, seconds: number): Record<string, number | string> {
  const { ports, length, meta, stations, known, options } = WORKLOADS[name]
  const host = new VirtualHost({ seed: 1 })
  const limits = { broadcastPerSecond: 0, multicastPerSecond: 0, unknownPerSecond: 0 }
  const sw = createSwitch({ host, random: host.random, maxAddresses: 2 * ADDRESSES, ...limits })
  const ends: NetIf[] = []
  const sinks: CountingSink[] = []
  for (let i = 0; i < ports; i++) {
    const end = sw.port(`p${i}`, options?.[i])
    const sink = new CountingSink(host)
    end.attach(sink)
    ends.push(end)
    sinks.push(sink)
  }
  const buf = allocate(AT + 65_600)
  const address = (at: number, port: number, station: number): void => {
    put16(buf, at, 0x0200)
    put32(buf, at + 2, (port << 16) | station)
  }
  const takeAll = (): void => {
    for (const end of ends) while (end.receive(BATCH));
  }
  put16(buf, AT + 12, 0x88b5)
  if (known) {
    const isTagged = options !== undefined
    if (isTagged) put32(buf, AT + 12, 0x81000007)
    for (let station = 0; station < stations; station++) {
      buf.fill(0xff, AT, AT + 6)
      address(AT + 6, 1, station)
      ends[1].send(buf, AT, AT + 64, 0)
      sw.run()
      takeAll()
    }
    put32(buf, AT + 12, 0x88b50000)
  }
  address(AT + 6, 0, 0)
  const rounds: Rounds = {
    put: (sent) => {
      for (let i = 0; i < BATCH; i++) {
        address(AT, 1, (sent + i) % stations)
        ends[0].send(buf, AT, AT + length, meta)
      }
    },
    turn: () => sw.run(),
    take: () => {
      for (let i = 1; i < ports; i++) ends[i].receive(BATCH)
    },
  }
  measureTurns(500, BATCH, rounds)
  for (const sink of sinks) sink.frames = 0
  const { sent, ms, turnMs } = measureTurns(1000 * seconds, BATCH, rounds)
  const copies = known ? 1 : ports - 1
  const out = sinks.reduce((sum, sink) => sum + sink.frames, 0)
  if (out !== sent * copies) throw new Error(`${name}: of ${sent * copies} frames ${out} came out`)
  return {
    test: `switch.${name}`,
    us: (1000 * turnMs) / sent,
    us_with_links: (1000 * ms) / sent,
    per_second: (1e3 * sent) / ms,
    gbit_s: (8 * length * sent) / ms / 1e6,
  }
}

const [workload = 'small', seconds = '2'] = process.argv.slice(2)
console.log(JSON.stringify(run(workload, Number(seconds))))
