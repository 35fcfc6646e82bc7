import { describe, expect, test } from 'vitest'
import { Address, address } from '../../src/base/address.ts'
import type { NetError } from '../../src/base/errors.ts'
import { Cast } from '../../src/ethernet/ethernet.ts'
import { PROTO_UDP } from '../../src/ip/packet.ts'
import { CSUM_PARTIAL, CSUM_VALID, frameMeta, GSO_UDP, Offload } from '../../src/netif/netif.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpSocket } from '../../src/udp/socket.ts'
import { udpHeader } from '../../src/udp/wire.ts'
import { icmpOf, naiveChecksum, packetOf, readIp, udpOf, World } from '../support/ip-world.ts'

const PEER = address('10.0.0.1')

function datagramTo(port: number, text: string, source = '10.0.0.1', destination = '10.0.0.2', sport = 5000): Buffer {
  return packetOf({ source, destination, protocol: PROTO_UDP }, udpOf(source, destination, sport, port, Buffer.from(text)))
}

function read(socket: UdpSocket): string | null {
  const into = new Datagram(new Uint8Array(2000))
  return socket.receive(into) ? Buffer.from(into.buf.subarray(into.off, into.off + into.len)).toString() : null
}

function codeOf(run: () => void): string {
  try {
    run()
  } catch (error) {
    return (error as NetError).code
  }
  return 'no error'
}

function pseudoOf(ip: { from: string; to: string; payload: Buffer }): Buffer {
  const out = Buffer.alloc(12)
  out.writeInt32BE(address(ip.from).w3, 0)
  out.writeInt32BE(address(ip.to).w3, 4)
  out[9] = PROTO_UDP
  out.writeUInt16BE(ip.payload.length, 10)
  return out
}

describe('sending', () => {
  test('emits the header that the declaration describes, with a right checksum', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('10.0.0.2', 4000)
    s.ttl = 9
    s.tos = 0x28
    expect(s.send(Buffer.from('xhellox'), 1, 5, PEER, 7)).toBe(true)
    const [sent] = w.link.take()
    const ip = readIp(sent.bytes)
    expect(ip).toMatchObject({ from: '10.0.0.2', to: '10.0.0.1', protocol: PROTO_UDP, ttl: 9, tos: 0x28, flagsFragment: 0 })
    expect(udpHeader.decode(ip.payload)).toMatchObject({ sourcePort: 4000, destinationPort: 7, length: 13 })
    expect(ip.payload.subarray(8).toString()).toBe('hello')
    expect(naiveChecksum(Buffer.concat([pseudoOf(ip), ip.payload]))).toBe(0)
    expect(w.wakes).toBe(1)
  })

  test('a computed checksum of zero is sent as all ones', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('10.0.0.2', 4000)
    // Search the payload word that makes the sum all ones, hence its complement zero.
    let found = 0
    for (let word = 0; word < 0x10000; word++) {
      s.send(Uint8Array.of(word >> 8, word), 0, 2, PEER, 7)
      const { payload } = readIp(w.link.take()[0].bytes)
      expect(payload.readUInt16BE(6)).not.toBe(0)
      if (payload.readUInt16BE(6) === 0xffff) found++
    }
    expect(found).toBe(1)
  })

  test('leaves the checksum to a link that can, and computes it when the datagram has to be fragmented', () => {
    const w = new World({ offload: Offload.TX_CHECKSUM, mtu: 576 })
    const s = w.udp.open()
    s.send(Buffer.from('hello'), 0, 5, PEER, 7)
    const [sent] = w.link.take()
    expect(sent.meta).toBe(CSUM_PARTIAL)
    const ip = readIp(sent.bytes)
    expect(ip.payload.readUInt16BE(6)).toBe(~naiveChecksum(pseudoOf(ip)) & 0xffff)

    s.send(new Uint8Array(1000).fill(5), 0, 1000, PEER, 7)
    const pieces = w.link.take()
    expect(pieces.map((p) => p.meta)).toEqual([0, 0])
    const parts = pieces.map((p) => readIp(p.bytes))
    const whole = { from: parts[0].from, to: parts[0].to, payload: Buffer.concat(parts.map((p) => p.payload)) }
    expect(naiveChecksum(Buffer.concat([pseudoOf(whole), whole.payload]))).toBe(0)
  })

  test('a full link: nothing taken, onWritable once there is room', () => {
    const w = new World()
    const events: string[] = []
    const s = w.udp.open({ onWritable: () => void events.push('writable') })
    w.link.room = 0
    expect(s.send(Buffer.from('a'), 0, 1, PEER, 7)).toBe(false)
    expect(s.send(Buffer.from('a'), 0, 1, PEER, 7)).toBe(false)
    w.link.room = 1
    w.udp.linkWritable(w.iface)
    w.udp.linkWritable(w.iface)
    expect(events).toEqual([])
    w.tell()
    expect(events).toEqual(['writable'])
    expect(s.send(Buffer.from('a'), 0, 1, PEER, 7)).toBe(true)
    expect(w.counters()).toMatchObject({ udpOutBlocked: 2, udpOutDatagrams: 1 })
  })

  test('empty and largest datagrams', () => {
    const w = new World({ mtu: 65535 })
    const s = w.udp.open()
    expect(s.send(new Uint8Array(0), 0, 0, PEER, 7)).toBe(true)
    expect(readIp(w.link.take()[0].bytes).total).toBe(28)
    expect(s.send(new Uint8Array(65507), 0, 65507, PEER, 7)).toBe(true)
    expect(readIp(w.link.take()[0].bytes).total).toBe(65535)
    expect(codeOf(() => s.send(new Uint8Array(65508), 0, 65508, PEER, 7))).toBe('EMSGSIZE')
  })

  test('says what is wrong', () => {
    const w = new World()
    const s = w.udp.open()
    const data = Buffer.from('a')
    expect(codeOf(() => s.send(data, 0, 1, null, 0))).toBe('EDESTADDRREQ')
    expect(codeOf(() => s.send(data, 0, 1, PEER, 0))).toBe('EINVAL')
    expect(codeOf(() => s.send(data, 0, 2, PEER, 7))).toBe('EINVAL')
    expect(codeOf(() => s.send(data, 0, 1, address('192.0.2.1'), 7))).toBe('ENETUNREACH')
    expect(codeOf(() => s.send(data, 0, 1, address('fe80::1'), 7))).toBe('EAFNOSUPPORT')
    for (const to of ['10.0.0.255', '255.255.255.255']) expect(codeOf(() => s.send(data, 0, 1, address(to), 7))).toBe('EACCES')
    s.broadcast = true
    expect(s.send(data, 0, 1, address('10.0.0.255'), 7)).toBe(true)
    s.broadcast = false
    expect(codeOf(() => s.send(data, 0, 1, address('10.0.0.255'), 7))).toBe('EACCES')
    s.dontFragment = true
    expect(codeOf(() => s.send(new Uint8Array(1473), 0, 1473, PEER, 7))).toBe('EMSGSIZE')
    expect(s.send(new Uint8Array(1472), 0, 1472, PEER, 7)).toBe(true)
    s.connect(PEER, 7)
    expect(codeOf(() => s.send(data, 0, 1, PEER, 7))).toBe('EISCONN')
    expect(s.send(data, 0, 1, null, 0)).toBe(true)
    s.close()
    expect(codeOf(() => s.send(data, 0, 1, PEER, 7))).toBe('EBADF')
  })

  test('errors carry what Node shows', () => {
    const s = new World().udp.open()
    expect(() => s.send(new Uint8Array(1), 0, 1, address('192.0.2.1'), 53)).toThrowError(
      expect.objectContaining({
        message: 'send ENETUNREACH 192.0.2.1:53',
        code: 'ENETUNREACH',
        errno: -101,
        syscall: 'send',
        port: 53,
      }),
    )
  })

  test('multicast goes out with TTL 1 unless asked', () => {
    const w = new World()
    const s = w.udp.open()
    s.ttl = 30
    s.send(Buffer.from('a'), 0, 1, address('239.1.1.1'), 7)
    expect(readIp(w.link.take()[0].bytes).ttl).toBe(1)
  })
})

describe('binding', () => {
  test('conflicts, reuse, families and interfaces', () => {
    const w = new World({ addresses: ['10.0.0.2/24', '10.0.0.3/24'] })
    const bind = (to: string, options = {}): string => codeOf(() => w.udp.open({}, options).bind(to, 53))
    expect(bind('10.0.0.2')).toBe('no error')
    expect(bind('10.0.0.2')).toBe('EADDRINUSE')
    expect(bind('10.0.0.2', { reuseAddress: true })).toBe('EADDRINUSE')
    expect(bind('10.0.0.3')).toBe('no error')
    expect(bind('0.0.0.0')).toBe('EADDRINUSE')
    expect(bind('::', { family: 6 })).toBe('EADDRINUSE')
    expect(bind('::', { family: 6, ipv6Only: true })).toBe('no error')
    expect(bind('10.0.0.9')).toBe('EADDRNOTAVAIL')
    expect(bind('::1')).toBe('EAFNOSUPPORT')
    const shared = (): string => codeOf(() => w.udp.open({}, { reuseAddress: true }).bind('0.0.0.0', 5353))
    expect([shared(), shared(), shared()]).toEqual(['no error', 'no error', 'no error'])
    const s = w.udp.open()
    s.bind('0.0.0.0', 9)
    expect(codeOf(() => s.bind('0.0.0.0', 10))).toBe('EINVAL')
    s.close()
    s.close()
    expect(codeOf(() => w.udp.open().bind('0.0.0.0', 9))).toBe('no error')
  })

  test('to a broadcast address or a group: heard there, sent from an address of ours (RFC 1122 section 3.2.1.3)', () => {
    for (const to of ['10.0.0.255', '255.255.255.255', '224.0.0.1']) {
      const w = new World()
      const s = w.udp.open()
      s.bind(to, 7)
      s.send(Buffer.from('a'), 0, 1, PEER, 7)
      expect(readIp(w.link.take()[0].bytes).from).toBe('10.0.0.2')
    }
  })

  test('ephemeral ports are spread over the range and run out with EADDRINUSE', () => {
    const w = new World({ config: { udp: { ephemeralFirst: 40000, ephemeralLast: 40063 } } })
    const ports: number[] = []
    for (let i = 0; i < 64; i++) {
      const s = w.udp.open()
      s.bind('0.0.0.0', 0)
      ports.push(s.localPort)
    }
    expect(new Set(ports).size).toBe(64)
    expect(Math.min(...ports)).toBe(40000)
    expect(Math.max(...ports)).toBe(40063)
    expect(ports.filter((p, i) => i > 0 && p === ports[i - 1] + 1).length).toBeLessThan(32)
    expect(codeOf(() => w.udp.open().bind('0.0.0.0', 0))).toBe('EADDRINUSE')
  })
})

describe('receiving', () => {
  test('the datagram, its sender and what it was sent to', () => {
    const w = new World()
    const events: string[] = []
    const s = w.udp.open({ onReadable: (socket) => void events.push(`${socket.readable} of ${socket.nextLength}`) })
    s.bind('0.0.0.0', 7)
    w.arrive(datagramTo(7, 'hello'))
    w.arrive(datagramTo(7, ''))
    expect(events).toEqual([]) // nothing is told during input
    w.tell()
    expect(events).toEqual(['2 of 5'])
    const into = new Datagram(new Uint8Array(100), 10)
    expect(s.receive(into)).toBe(true)
    expect(Buffer.from(into.buf.subarray(10, 15)).toString()).toBe('hello')
    expect(into).toMatchObject({ len: 5, size: 5, port: 5000, ttl: 64, tos: 0, iface: w.iface })
    expect(`${into.address} ${into.localAddress}`).toBe('10.0.0.1 10.0.0.2')
    expect(s.receive(into)).toBe(true)
    expect(into.size).toBe(0)
    expect(s.receive(into)).toBe(false)
    w.tell()
    expect(events.length).toBe(1)
    expect(w.pool.inUse).toBe(0) // an idle socket holds no memory
  })

  test('a buffer that is too small gets the beginning, and the next datagram is whole', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('0.0.0.0', 7)
    w.arrive(datagramTo(7, 'abcdefgh'))
    w.arrive(datagramTo(7, 'next'))
    const into = new Datagram(new Uint8Array(3))
    s.receive(into)
    expect([into.len, into.size, Buffer.from(into.buf).toString()]).toEqual([3, 8, 'abc'])
    expect(read(s)).toBe('next')
  })

  test('the best match: connected before bound before any; the last bound of equals', () => {
    const w = new World()
    const open = (): UdpSocket => w.udp.open({}, { reuseAddress: true })
    const any = open()
    any.bind('0.0.0.0', 7)
    const bound = open()
    bound.bind('10.0.0.2', 7)
    const connected = open()
    connected.bind('10.0.0.2', 7)
    connected.connect(PEER, 5000)
    const dual = w.udp.open({}, { reuseAddress: true, family: 6 })
    dual.bind('::', 7)
    w.arrive(datagramTo(7, 'one'))
    w.arrive(datagramTo(7, 'two', '10.0.0.1', '10.0.0.2', 5001))
    expect([read(connected), read(bound), read(any), read(dual)]).toEqual(['one', 'two', null, null])
    connected.close()
    bound.close()
    w.arrive(datagramTo(7, 'three'))
    expect(read(any)).toBe('three')
    any.close()
    w.arrive(datagramTo(7, 'four'))
    expect(read(dual)).toBe('four')
  })

  test('a broadcast reaches everyone who listens for it', () => {
    const w = new World()
    const sockets = [0, 1].map(() => w.udp.open({}, { reuseAddress: true }))
    for (const s of sockets) s.bind('0.0.0.0', 7)
    const narrow = w.udp.open({}, { reuseAddress: true })
    narrow.bind('10.0.0.2', 7)
    for (const to of ['255.255.255.255', '10.0.0.255']) w.arrive(datagramTo(7, to, '10.0.0.1', to), 0, Cast.BROADCAST)
    for (const s of sockets) expect([read(s), read(s)]).toEqual(['255.255.255.255', '10.0.0.255'])
    expect(read(narrow)).toBe(null)
    w.arrive(datagramTo(8, 'nobody', '10.0.0.1', '10.0.0.255'), 0, Cast.BROADCAST)
    expect(w.link.sent).toEqual([])
    expect(w.counters()).toMatchObject({ udpIgnoredMulti: 1, udpInDatagrams: 4 })
  })

  test('the queue is bounded and counts what it drops', () => {
    const w = new World({ config: { udp: { receiveBufferBytes: 1000 } } })
    const s = w.udp.open()
    s.bind('0.0.0.0', 7)
    for (let i = 0; i < 20; i++) w.arrive(datagramTo(7, 'x'.repeat(100)))
    expect(s.readable).toBe(6) // 144 bytes each
    expect(s.drops).toBe(14)
    expect(w.counters()).toMatchObject({ udpRcvbufErrors: 14, udpInErrors: 14, udpInDatagrams: 6 })
    for (let i = 0; i < 100; i++) w.arrive(datagramTo(7, ''))
    expect(s.queuedBytes).toBeLessThanOrEqual(1000)
  })

  test('length rules', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('0.0.0.0', 7)
    const send = (length: number, payload: Buffer): void => {
      payload.writeUInt16BE(length, 4)
      payload.writeUInt16BE(0, 6)
      w.arrive(packetOf({ source: '10.0.0.1', destination: '10.0.0.2', protocol: PROTO_UDP }, payload))
    }
    const whole = (): Buffer => udpOf('10.0.0.1', '10.0.0.2', 5, 7, Buffer.from('abcdef'))
    send(7, whole())
    send(15, whole())
    send(11, whole()) // shorter than the packet: what follows is not ours
    w.arrive(packetOf({ source: '10.0.0.1', destination: '10.0.0.2', protocol: PROTO_UDP }, whole().subarray(0, 7)))
    expect(read(s)).toBe('abc')
    expect(read(s)).toBe(null)
    expect(w.counters()).toMatchObject({ udpDropBadLength: 2, udpDropTooShort: 1, udpInErrors: 3 })
  })

  test('checksum rules: bad dropped in silence, zero accepted, vouched for not looked at', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('0.0.0.0', 7)
    const bad = datagramTo(7, 'bad')
    bad[bad.length - 1] ^= 1
    w.arrive(bad)
    const badToNobody = datagramTo(8, 'bad')
    badToNobody[badToNobody.length - 1] ^= 1
    w.arrive(badToNobody)
    expect(w.link.sent).toEqual([])
    w.arrive(bad, CSUM_VALID)
    const none = datagramTo(7, 'none')
    none.writeUInt16BE(0, 26)
    w.arrive(none)
    expect([read(s), read(s), read(s)]).toEqual(['bae', 'none', null])
    expect(w.counters()).toMatchObject({ udpInCsumErrors: 2 })
  })

  test('a super-datagram becomes the datagrams that it was made of', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('0.0.0.0', 7)
    w.arrive(datagramTo(7, 'aaaabbbbcc'), frameMeta(CSUM_PARTIAL, GSO_UDP, 4))
    expect([read(s), read(s), read(s), read(s)]).toEqual(['aaaa', 'bbbb', 'cc', null])
  })

  test('a handler that throws loses nobody their news', () => {
    const w = new World()
    const events: string[] = []
    const s = w.udp.open({
      onError: () => {
        throw new Error('mine')
      },
      onReadable: () => void events.push('readable'),
    })
    s.bind('0.0.0.0', 7)
    s.failed('ECONNREFUSED')
    w.arrive(datagramTo(7, 'a'))
    w.tell()
    w.tell()
    expect(w.thrown.length).toBe(1)
    expect(events).toEqual(['readable'])
  })
})

describe('errors', () => {
  test('a closed port is answered with port unreachable', () => {
    const w = new World()
    w.arrive(datagramTo(9, 'knock'))
    const ip = readIp(w.link.take()[0].bytes)
    expect(ip).toMatchObject({ protocol: 1, from: '10.0.0.2', to: '10.0.0.1', tos: 0 })
    expect([...ip.payload.subarray(0, 2)]).toEqual([3, 3])
    expect(w.counters()).toMatchObject({ udpNoPorts: 1 })
    const silent = new World({ config: { udp: { portUnreachable: false } } })
    silent.arrive(datagramTo(9, 'knock'))
    expect(silent.link.sent).toEqual([])
  })

  function unreachable(w: World, code: number, quoted: Buffer): void {
    w.arrive(
      packetOf(
        { source: '10.0.0.1', destination: '10.0.0.2', protocol: 1 },
        icmpOf(3, code, [0, 0, 0, 0, ...quoted.subarray(0, 28)]),
      ),
    )
  }

  test('port unreachable reaches the connected socket as ECONNREFUSED, others not at all', () => {
    const w = new World()
    const told: string[] = []
    const s = w.udp.open({ onError: (_socket, error) => void told.push(error.message) })
    s.connect(PEER, 9)
    s.send(Buffer.from('a'), 0, 1, null, 0)
    const [{ bytes }] = w.link.take()
    const other = w.udp.open({ onError: () => void told.push('other') })
    other.send(Buffer.from('a'), 0, 1, PEER, 9)
    unreachable(w, 3, w.link.take()[0].bytes) // about the unconnected one
    unreachable(w, 1, bytes) // host unreachable: soft
    w.tell()
    expect(told).toEqual([])
    unreachable(w, 3, bytes)
    const forged = Buffer.from(bytes)
    forged.writeUInt16BE(10, 22) // we never sent to that port
    unreachable(w, 3, forged)
    expect(told).toEqual([])
    w.tell()
    expect(told).toEqual(['recvmsg ECONNREFUSED'])
    expect(w.counters()).toMatchObject({ udpErrorsIgnored: 2, udpErrorsNoSocket: 1 })
  })

  test('fragmentation needed lowers the path MTU, for those who sent something only', () => {
    const w = new World()
    const s = w.udp.open()
    s.dontFragment = true
    s.send(new Uint8Array(1472), 0, 1472, PEER, 9)
    const [{ bytes }] = w.link.take()
    const tooBig = (quoted: Buffer): void =>
      w.arrive(
        packetOf(
          { source: '10.0.0.9', destination: '10.0.0.2', protocol: 1 },
          icmpOf(3, 4, [0, 0, 1000 >> 8, 1000 & 255, ...quoted.subarray(0, 28)]),
        ),
      )
    const forged = Buffer.from(bytes)
    forged.writeUInt16BE(1, 20)
    tooBig(forged)
    expect(w.ipv4.pathMtu.get(PEER)).toBe(0)
    tooBig(bytes)
    expect(w.ipv4.pathMtu.get(PEER)).toBe(1000)
    expect(codeOf(() => s.send(new Uint8Array(1472), 0, 1472, PEER, 9))).toBe('EMSGSIZE')
    expect(s.send(new Uint8Array(972), 0, 972, PEER, 9)).toBe(true)
    s.dontFragment = false
    w.link.take()
    s.send(new Uint8Array(1472), 0, 1472, PEER, 9)
    expect(w.link.take().map((p) => readIp(p.bytes).total <= 1000)).toEqual([true, true])
  })
})

describe('connecting', () => {
  test('settles the source address, filters senders, and can be undone', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('0.0.0.0', 7)
    s.connect('10.0.0.1', 5000)
    expect(s.localAddress.equals(Address.v4(0x0a000002))).toBe(true)
    w.arrive(datagramTo(7, 'stranger', '10.0.0.3'))
    expect(read(s)).toBe(null)
    expect(w.counters()).toMatchObject({ udpNoPorts: 1 })
    s.disconnect()
    expect(s.localAddress.isUnspecified).toBe(true)
    w.arrive(datagramTo(7, 'stranger', '10.0.0.3'))
    expect(read(s)).toBe('stranger')
    expect(codeOf(() => s.disconnect())).toBe('ENOTCONN')
    expect(codeOf(() => s.connect('192.0.2.1', 9))).toBe('ENETUNREACH')
    expect(codeOf(() => s.connect('10.0.0.255', 9))).toBe('EACCES')
    expect(s.connected).toBe(false)
  })
})
