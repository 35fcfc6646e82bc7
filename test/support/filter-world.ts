/** Three stacks in a row, inside - router - outside: for tests of the packet filter. */
import { parseAddress } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { RawConnection } from '../../src/tcp/api.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import { naiveChecksum } from './ip-world.ts'

export interface FilterWorld {
  world: World
  inside: Stack
  router: Stack
  outside: Stack
  /** The router's interfaces: `eth0` towards the inside, `eth1` towards the outside. */
  eth0: AttachedInterface
  eth1: AttachedInterface
  /** What the inside and the outside were given by their links. */
  seen: Seen[]
}

/** A packet that arrived. */
export interface Seen {
  at: 'inside' | 'outside'
  bytes: Buffer
  meta: number
}

/** The link with a look at all that comes in by it. */
function watch(link: NetIf, at: Seen['at'], seen: Seen[]): NetIf {
  const attach = link.attach.bind(link)
  link.attach = (sink: NetIfSink) => {
    const input = sink.input.bind(sink)
    sink.input = (buf, start, end, meta) => {
      seen.push({ at, bytes: Buffer.from(buf.subarray(start, end)), meta })
      input(buf, start, end, meta)
    }
    attach(sink)
  }
  return link
}

/** What is wrong with the checksums of an IP packet, by another way of counting than the stack's; '' if nothing is. */
export function checksumFault({ bytes, meta }: Pick<Seen, 'bytes' | 'meta'>): string {
  const isV4 = bytes[0] >> 4 === 4
  const header = isV4 ? (bytes[0] & 15) * 4 : 40
  if (isV4 && naiveChecksum(bytes.subarray(0, header)) !== 0) return 'header'
  const protocol = bytes[isV4 ? 9 : 6]
  const isFragment = isV4 && (bytes.readUInt16BE(6) & 0x3fff) !== 0
  if (isFragment || ![1, 6, 17, 58].includes(protocol)) return ''
  const payload = bytes.subarray(header)
  const pseudo = Buffer.concat([
    isV4 ? bytes.subarray(12, 20) : bytes.subarray(8, 40),
    Buffer.from([0, 0, payload.length >> 8, payload.length & 255, 0, 0, 0, protocol]),
  ])
  const field = protocol === 6 ? 16 : 6
  if (protocol !== 1 && protocol !== 58 && (meta & 3) === 2)
    return payload.readUInt16BE(field) % 0xffff === (~naiveChecksum(pseudo) & 0xffff) % 0xffff ? '' : 'partial'
  if (protocol === 17 && isV4 && payload.readUInt16BE(6) === 0) return ''
  return naiveChecksum(protocol === 1 ? payload : Buffer.concat([pseudo, payload])) === 0 ? '' : `protocol ${protocol}`
}

/**
 * inside 10.0.0.2, fd00::2 - router 10.0.0.1, fd00::1 and 192.0.2.1, 2001:db8::1 - outside 192.0.2.2, 2001:db8::2. The outside knows no
 * way to the inside.
 */
export function filterWorld(config: ConfigOverrides = {}, options: { offload?: boolean } = {}): FilterWorld {
  const world = createWorld()
  const seen: Seen[] = []
  const [inside, router, outside] = [world.stack(), world.stack({ forwarding: true, ...config }), world.stack()]
  const [a, b] = createPipe({ medium: 'ip', names: ['in.a', 'in.b'], ...options })
  const [c, d] = createPipe({ medium: 'ip', names: ['out.a', 'out.b'], ...options })
  inside.attach(watch(a, 'inside', seen), { addresses: ['10.0.0.2/24', 'fd00::2/64'], gateway: ['10.0.0.1', 'fd00::1'] })
  const eth0 = router.attach(b, { name: 'eth0', addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  const eth1 = router.attach(c, { name: 'eth1', addresses: ['192.0.2.1/24', '2001:db8::1/64'] })
  outside.attach(watch(d, 'outside', seen), { addresses: ['192.0.2.2/24', '2001:db8::2/64'] })
  return { world, inside, router, outside, eth0, eth1, seen }
}

/** Addresses of the world by family. */
export const FAMILIES = {
  4: { inside: '10.0.0.2', near: '10.0.0.1', far: '192.0.2.1', outside: '192.0.2.2' },
  6: { inside: 'fd00::2', near: 'fd00::1', far: '2001:db8::1', outside: '2001:db8::2' },
} as const

/** Listens on a port and answers each byte string with itself; gives the remote ends of what connected. */
export function echoServer(stack: Stack, port: number): string[] {
  const peers: string[] = []
  const bytes = new Uint8Array(65536)
  stack.tcp.listen(
    { port },
    {
      onConnection(c) {
        peers.push(`${c.remoteAddress} ${c.remotePort}`)
        c.handler = {
          onReadable: (it) => {
            const n = it.read(bytes, 0, bytes.length)
            it.write(bytes, 0, n)
          },
        }
      },
    },
  )
  return peers
}

/** A client's side of an exchange: how many bytes came back, and the error if there was one. */
export interface Exchange {
  got: number
  error: string | null
  remote: string
  connection: RawConnection
}

/** Opens a connection, sends `length` bytes and counts what comes back. */
export function exchange(stack: Stack, to: string, port: number, length = 10): Exchange {
  const result: Omit<Exchange, 'connection'> = { got: 0, error: null, remote: '' }
  const room = new Uint8Array(65536)
  const c = stack.tcp.open(
    { remoteAddress: to, remotePort: port },
    {
      onReadable(it) {
        result.got += it.read(room, 0, room.length)
      },
      onClose(_it, error) {
        result.error = error === null || error === undefined ? null : ((error as { code?: string }).code ?? String(error))
      },
    },
  )
  result.remote = `${c.remoteAddress}`
  c.write(new Uint8Array(length), 0, length)
  return Object.assign(result, { connection: c })
}

/** A UDP socket that remembers what it was told. */
export interface UdpPeer {
  heard: { from: string; port: number; length: number }[]
  errors: string[]
  /** `to` null: where it is connected to. */
  send(to: string | null, port: number, length: number): void
}

/** Opens a UDP socket on a port, connected if `to` is given. */
export function udpPeer(stack: Stack, port: number, to: string | null = null, toPort = 0): UdpPeer {
  const heard: UdpPeer['heard'] = []
  const errors: string[] = []
  const datagram = new Datagram(new Uint8Array(65536))
  const socket = stack.udp.open(
    {
      onReadable: (s) => {
        while (s.receive(datagram)) heard.push({ from: `${datagram.address}`, port: datagram.port, length: datagram.size })
      },
      onError: (_, error) => void errors.push((error as { code?: string }).code ?? String(error)),
    },
    { family: 6 },
  )
  socket.bind('::', port)
  if (to !== null) socket.connect(to, toPort)
  const send = (address: string | null, toPort: number, length: number): void => {
    socket.send(new Uint8Array(length), 0, length, address === null ? null : parseAddress(address)!, toPort)
  }
  return { heard, errors, send }
}

/** A packet arrives at a stack by an interface. */
export function hear(stack: Stack, by: AttachedInterface, packet: Uint8Array, meta = 0): void {
  const buf = new Uint8Array(64 + packet.length)
  buf.set(packet, 64)
  const family = packet[0] >> 4 === 4 ? stack.ipv4 : stack.ipv6
  family.input(by.iface, buf, 64, buf.length, meta, 0, -1)
}
