/**
 * A stack as a router between two pipes: what a packet costs that it sends on. `node router.js WORKLOAD SECONDS`, one JSON line out.
 *
 * Frames are put into one pipe, 64 at a time as a turn takes them, and taken out of the other; `us` is the router's turn alone (take from the
 * pipe, Ethernet, IP, the way, TTL, Ethernet, into the other pipe), `us_with_links` has both pipes' other ends in it. `receive` is a datagram for
 * nobody: what the path of incoming packets costs without forwarding.
 */
import { address } from '../src/base/address.ts'
import { put16, put32 } from '../src/base/bytes.ts'
import { checksum } from '../src/base/checksum.ts'
import { SeededRandom } from '../src/base/random.ts'
import { createPipe } from '../src/link/pipe.ts'
import { CSUM_PARTIAL, CSUM_VALID, frameMeta, GSO_TCP4, GSO_TCP6, type NetIf } from '../src/netif/netif.ts'
import { VirtualHost } from '../src/sim/virtual-host.ts'
import { Stack } from '../src/stack/stack.ts'
import { CountingSink } from './counting-sink.ts'
import { measureTurns, type Rounds } from './turns.ts'

const BATCH = 64
const ETH = 14
const AT = 64
const MTU = 1500
const TCP_HEADER = 32
const NEAR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1)
const FAR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2)

interface World {
  stack: Stack
  near: NetIf
  far: NetIf
  in: CountingSink
  out: CountingSink
}

function world(routes: number): World {
  const host = new VirtualHost({ seed: 1 })
  const stack = new Stack({ host, random: new SeededRandom(1) }, { forwarding: true })
  const [near, a] = createPipe({ queueBytes: 16 << 20 })
  const [b, far] = createPipe({ queueBytes: 16 << 20 })
  const eth0 = stack.attach(a, { addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  const eth1 = stack.attach(b, { addresses: ['10.1.0.1/24', 'fd00:0:1::1/64'] })
  const sinks = [new CountingSink(host), new CountingSink(host)]
  near.attach(sinks[0])
  far.attach(sinks[1])
  host.advance(3000)
  for (const to of ['10.0.0.2', 'fd00::2']) eth0.addNeighbor(to, NEAR_MAC)
  for (const to of ['10.1.0.2', 'fd00:0:1::2']) eth1.addNeighbor(to, FAR_MAC)
  for (let i = 0; i < routes; i++) stack.addRoute(`20.${i >> 8}.${i & 255}.0/24`, '10.1.0.2', eth1)
  return { stack, near, far, in: sinks[0], out: sinks[1] }
}

/** A frame at `buf[AT]`, with headers that are right; returns where it ends. */
function build(buf: Uint8Array, mac: Uint8Array, family: 4 | 6, protocol: number, payload: number, to: string): number {
  buf.set(mac, AT)
  buf.set(NEAR_MAC, AT + 6)
  put16(buf, AT + 12, family === 4 ? 0x0800 : 0x86dd)
  const at = AT + ETH
  if (family === 6) {
    put32(buf, at, 0x60000000)
    put16(buf, at + 4, payload)
    buf[at + 6] = protocol
    buf[at + 7] = 64
    address('fd00::2').write(buf, at + 8)
    address(to).write(buf, at + 24)
    return at + 40 + payload
  }
  put32(buf, at, 0x45000000 | (20 + payload))
  put16(buf, at + 6, 0x4000)
  put16(buf, at + 8, (64 << 8) | protocol)
  put32(buf, at + 12, address('10.0.0.2').w3)
  put32(buf, at + 16, address(to).w3)
  put16(buf, at + 10, checksum(buf, at, 20))
  return at + 20 + payload
}

function run(workload: string, seconds: number): Record<string, number | string> {
  const [kind, which] = workload.split('.')
  const family = which === 'ipv4' ? 4 : 6
  const routes = kind === 'routes10000' ? 10_000 : 0
  const w = world(routes)
  const header = family === 4 ? 20 : 40
  const ours = kind === 'receive'
  const far = ours ? (family === 4 ? '10.0.0.1' : 'fd00::1') : family === 4 ? '10.1.0.2' : 'fd00:0:1::2'
  const isTcp = kind === 'tcp1500' || kind === 'super'
  const length = kind === 'super' ? 65_000 : kind === 'tcp1500' ? MTU : 64 - ETH
  const buf = new Uint8Array(AT + ETH + 65_536)
  const end = build(buf, w.stack.interfaces[0].iface.mac!, family, isTcp ? 6 : 17, length - header, far)
  const transport = AT + ETH + header
  if (isTcp) buf[transport + 12] = (TCP_HEADER >> 2) << 4
  else put16(buf, transport + 4, length - header)
  put16(buf, transport + 2, ours ? 9999 : 7)
  const gso = family === 4 ? GSO_TCP4 : GSO_TCP6
  const meta = kind === 'super' ? frameMeta(CSUM_PARTIAL, gso, MTU - header - TCP_HEADER) : CSUM_VALID
  const rounds: Rounds = {
    put: (sent) => {
      for (let i = 0; i < BATCH; i++) {
        // Far apart, so that each has another way.
        if (routes > 0) aim(buf, (sent + i) % routes)
        w.near.send(buf, AT, end, meta)
      }
    },
    turn: () => w.stack.turn.run(),
    take: () => {
      w.far.receive(BATCH)
      w.near.receive(BATCH)
    },
  }
  measureTurns(500, BATCH, rounds)
  w.out.frames = 0
  const { sent, ms, turnMs } = measureTurns(1000 * seconds, BATCH, rounds)
  if (!ours && w.out.frames !== sent) throw new Error(`${workload}: of ${sent} packets ${w.out.frames} came out`)
  return {
    test: `forward.${workload}`,
    us: (1000 * turnMs) / sent,
    us_with_links: (1000 * ms) / sent,
    per_second: (1e3 * sent) / ms,
    gbit_s: (8 * length * sent) / ms / 1e6,
  }
}

/** Another destination for the IPv4 packet. */
function aim(buf: Uint8Array, i: number): void {
  const at = AT + ETH
  put32(buf, at + 16, 0x14000000 + (i << 8) + 1)
  put16(buf, at + 10, 0)
  put16(buf, at + 10, checksum(buf, at, 20))
}

const [workload = 'udp64.ipv4', seconds = '2'] = process.argv.slice(2)
console.log(JSON.stringify(run(workload, Number(seconds))))
