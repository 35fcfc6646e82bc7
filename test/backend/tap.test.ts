import { describe, expect, it } from 'vitest'
import { encodeAddress } from '../../src/backend/host-side.ts'
import {
  EACCES,
  EAGAIN,
  EBADFD,
  EBUSY,
  EEXIST,
  EINVAL,
  EIO,
  ENODEV,
  ENOENT,
  ENOMEM,
  EPERM,
  loadKoffi,
  requireLinux,
} from '../../src/backend/libc.ts'
import { openTap, openTun, type TapOptions } from '../../src/backend/tap.ts'
import {
  IFF_NO_PI,
  IFF_TAP,
  IFF_TUN,
  IFF_UP,
  IFF_VNET_HDR,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  TUNSETGROUP,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETOWNER,
  TUNSETPERSIST,
  TUNSETSNDBUF,
  TUNSETVNETHDRSZ,
  VNET_HEADER,
  vnetHeader,
} from '../../src/backend/tuntap-wire.ts'
import { prefix } from '../../src/base/address.ts'
import { CSUM_PARTIAL, CSUM_VALID, frameMeta, GSO_TCP4, HEADROOM, Offload } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { fakeSystem } from '../support/fake-libc.ts'
import { noise, plainFrame, tcpFrame } from '../support/frames.ts'
import { RecordingSink } from '../support/netif-conformance.ts'

async function opened(options: TapOptions = {}, kind: 'tap' | 'tun' = 'tap') {
  const system = fakeSystem()
  const link = await (kind === 'tap' ? openTap : openTun)(options, system)
  const sink = new RecordingSink(new VirtualHost())
  link.attach(sink)
  const receive = (budget: number): boolean => {
    sink.receiving = true
    const more = link.receive(budget)
    sink.receiving = false
    return more
  }
  return { ...system, link, sink, receive, count: (name: string) => link.counters()[name] }
}

/** A frame as the kernel gives it. */
function withHeader(frame: Uint8Array, fields: Record<string, number> = {}): Uint8Array {
  const bytes = Buffer.alloc(VNET_HEADER + frame.length)
  vnetHeader.encode({ flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, ...fields }, bytes)
  bytes.set(frame, VNET_HEADER)
  return new Uint8Array(bytes)
}

describe('opening', () => {
  it('asks for a tap with a vnet header and all offloads but USO, and takes the real name', async () => {
    const { libc, link, waker } = await opened({ name: 'tap%d' })
    expect(libc.given(TUNSETIFF)).toEqual([IFF_TAP | IFF_NO_PI | IFF_VNET_HDR])
    expect(libc.given(TUNSETOFFLOAD)).toEqual([0x6f, 0x0f])
    expect(libc.given(TUNSETVNETHDRSZ)).toEqual([10])
    expect(link).toMatchObject({ name: 'tap7', medium: 'ethernet', mtu: 1500, mac: null, gsoMax: 65535, vnetHeader: true })
    expect(link.offload).toBe(Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6 | Offload.USO)
    expect(link.describe()).toBe('tap7: tap, mtu 1500, offload csum,tso4,tso6,ecn, woken by hand')
    expect(waker.refs).toEqual([]) // links start unref'd
    expect(libc.openFds).toEqual(new Set([100])) // the socket for the host's side is closed again
    expect([libc.given(SIOCSIFFLAGS), libc.given(SIOCSIFMTU), libc.given(TUNSETPERSIST)]).toEqual([[], [], []])
  })

  it('opens a tun for IP packets', async () => {
    const { libc, link } = await opened({}, 'tun')
    expect(libc.given(TUNSETIFF)).toEqual([IFF_TUN | IFF_NO_PI | IFF_VNET_HDR])
    expect(link.medium).toBe('ip')
  })

  it('steps down to what the kernel has', async () => {
    const system = fakeSystem()
    for (const bits of [0x6f, 0x0f, 0x07]) system.libc.failValue.set(`${TUNSETOFFLOAD}:${bits}`, EINVAL)
    const link = await openTap({}, system)
    expect(system.libc.given(TUNSETOFFLOAD)).toEqual([0x6f, 0x0f, 0x07, 0x01])
    expect(link.offload & Offload.USO).toBe(0)
    expect(link.offload & Offload.RX_CHECKSUM).toBe(Offload.RX_CHECKSUM)
    expect(link.describe()).toContain('offload csum,')
  })

  it('keeps USO when it is asked for', async () => {
    const { libc, link } = await opened({ uso: true })
    expect(libc.given(TUNSETOFFLOAD)).toEqual([0x6f])
    expect(link.counters()).toMatchObject({ vnetHeader: 1, offloadAccepted: 0x6f })
  })

  it('does without the vnet header where it is refused', async () => {
    const system = fakeSystem()
    system.libc.failValue.set(`${TUNSETIFF}:${IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}`, EINVAL)
    const link = await openTap({}, system)
    expect(link).toMatchObject({ vnetHeader: false, offload: 0, gsoMax: 0 })
    expect(link.describe()).toContain('no offload')
  })

  it('opens a plain tap, and clears what a former user left', async () => {
    const { libc, link } = await opened({ offload: false })
    expect(libc.given(TUNSETIFF)).toEqual([IFF_TAP | IFF_NO_PI])
    expect(libc.given(TUNSETOFFLOAD)).toEqual([0])
    expect(link).toMatchObject({ vnetHeader: false, offload: 0, gsoMax: 0 })
  })

  it('sets MTU, addresses, flags, owner and persistence when asked', async () => {
    const { libc, link } = await opened({
      host: ['10.0.0.1/24', 'fd00::1/64'],
      mtu: 9000,
      owner: 'alice',
      group: '78',
      persist: true,
      sendBufferBytes: 50_000,
    })
    expect(libc.device).toMatchObject({ mtu: 9000, flags: 0x1002 | IFF_UP })
    expect(link.mtu).toBe(9000)
    expect(libc.netlink).toEqual([prefix('10.0.0.1/24'), prefix('fd00::1/64')].map((p) => new Uint8Array(encodeAddress(p, 5))))
    expect([libc.given(TUNSETOWNER), libc.given(TUNSETGROUP)]).toEqual([[1000], [78]])
    expect([libc.given(TUNSETPERSIST), libc.given(TUNSETSNDBUF)]).toEqual([[1], [50_000]])
    expect(link.describe()).toContain('host 10.0.0.1/24 fd00::1/64')
  })

  it('changes nothing that is as asked, so that an owner without privilege may attach', async () => {
    const system = fakeSystem((index, p) => index === 5 && p.toString() === '10.0.0.1/24')
    system.libc.device.flags |= IFF_UP
    system.libc.netlinkErrno = EPERM
    system.libc.fail.set(SIOCSIFFLAGS, EPERM).set(SIOCSIFMTU, EPERM)
    const link = await openTap({ host: '10.0.0.1/24', mtu: 1500 }, system)
    expect(link.name).toBe('tap7')
    system.libc.netlinkErrno = EEXIST
    await openTap({ host: '10.0.0.9/24' }, system)
  })
})

describe('errors: one line, a code, and what to do', () => {
  const fails = async (
    options: TapOptions,
    arrange: (system: ReturnType<typeof fakeSystem>) => void = () => {},
  ): Promise<{ code: string; message: string }> => {
    const system = fakeSystem()
    arrange(system)
    const error = await openTap(options, system).then(
      () => null,
      (e: unknown) => e as { code: string; message: string },
    )
    if (error === null) throw new Error('it opened')
    expect(error.message).not.toContain('\n')
    expect(system.libc.openFds, 'descriptors left open').toEqual(new Set())
    return error
  }

  it.each([ENOENT, ENODEV])('no tun driver (%i)', async (errno) => {
    const error = await fails({}, ({ libc }) => libc.fail.set('open', errno))
    expect(error.code).toBe(errno === ENOENT ? 'ENOENT' : 'ENODEV')
    expect(error.message).toMatch(/\/dev\/net\/tun.*modprobe tun.*--device \/dev\/net\/tun/)
  })

  it.each(['open', TUNSETIFF])('no permission (%s)', async (where) => {
    for (const errno of [EPERM, EACCES]) {
      const error = await fails({ name: 'tap3' }, ({ libc }) => libc.fail.set(where, errno))
      expect(error.code).toBe(errno === EPERM ? 'EPERM' : 'EACCES')
      expect(error.message).toMatch(/sudo.*`sudo ip tuntap add dev tap3 mode tap user \$USER`.*`unshare -Urn`/)
    }
  })

  it('name taken', async () => {
    const error = await fails({ name: 'tap3' }, ({ libc }) => libc.fail.set(TUNSETIFF, EBUSY))
    expect(error).toMatchObject({ code: 'EBUSY', syscall: 'ioctl' })
    expect(error.message).toMatch(/tap3.*another program holds it/)
  })

  it('another kind of device', async () => {
    const error = await fails({ name: 'eth0' }, ({ libc }) => libc.fail.set(TUNSETIFF, EINVAL))
    expect(error.code).toBe('EINVAL')
    expect(error.message).toMatch(/eth0.*is not a tap/)
  })

  it('whatever else the kernel says', async () => {
    expect((await fails({}, ({ libc }) => libc.fail.set('open', 24))).code).toBe('EMFILE')
    expect((await fails({}, ({ libc }) => libc.fail.set(TUNSETIFF, ENOMEM))).code).toBe('ENOMEM')
    expect((await fails({}, ({ libc }) => libc.fail.set('socket', 24))).code).toBe('EMFILE')
    const error = await fails({ persist: true }, ({ libc }) => libc.fail.set(TUNSETPERSIST, EPERM))
    expect(error).toMatchObject({ code: 'EPERM', message: 'Cannot make tap7 persistent (EPERM): the kernel refused' })
  })

  it.each([
    [{ host: '10.0.0.1/24' }, 'sudo ip addr add 10.0.0.1/24 dev tap7'],
    [{ mtu: 9000 }, 'sudo ip link set tap7 mtu 9000'],
    [{ up: true }, 'sudo ip link set tap7 up'],
  ])('no right to configure the host: %o', async (options, command) => {
    const error = await fails(options, ({ libc }) => {
      libc.netlinkErrno = EPERM
      libc.fail.set(SIOCSIFFLAGS, EPERM).set(SIOCSIFMTU, EPERM)
    })
    expect(error.code).toBe('EPERM')
    expect(error.message).toContain(`\`${command}\``)
  })

  it('IPv6 switched off', async () => {
    const error = await fails({ host: 'fd00::1/64' }, ({ libc }) => {
      libc.netlinkErrno = EACCES
    })
    expect(error.code).toBe('EACCES')
    expect(error.message).toContain('net.ipv6.conf.tap7.disable_ipv6=0')
  })

  it.each<[TapOptions, RegExp]>([
    [{ name: '' }, /empty/],
    [{ name: 'sixteen-bytes-xx' }, /16 bytes.*at most 15/],
    [{ name: 'a/b' }, /slash/],
    [{ name: 'tap 0' }, /white space/],
    [{ name: '..' }, /slash/],
    [{ name: 'tap%s' }, /%d/],
    [{ name: 'tap%d%d' }, /%d/],
    [{ mtu: 67 }, /68 to 65521/],
    [{ mtu: 65522 }, /68 to 65521/],
    [{ mtu: 1500.5 }, /MTU/],
    [{ queues: 2 }, /queues 2.*only 1/],
    [{ host: '10.0.0.1' }, /prefix length is missing.*10\.0\.0\.1\/24/],
    [{ owner: 'nobody-of-that-name' }, /no user of that name/],
    [{ group: 'nobody-of-that-name' }, /no group of that name/],
    [{ owner: -1 }, /user/],
  ])('an option that cannot be meant: %o', async (options, words) => {
    const error = await fails(options)
    expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
    expect(error.message).toMatch(words)
  })

  it.each(['10.0.0.300/24', '10.0.0.1/33', 'fd00::1/129', 'nonsense'])('an address that is none: %s', async (host) => {
    expect((await fails({ host })).code).toBe('ERR_INVALID_IP_ADDRESS')
  })

  it('no koffi', async () => {
    const load = (): Promise<never> => Promise.reject(new Error('Cannot find the native Koffi module; did you bundle it?\n at x'))
    await expect(loadKoffi(load)).rejects.toMatchObject({
      code: 'ERR_KOFFI_UNAVAILABLE',
      message: expect.stringMatching(
        /^koffi.*\(Cannot find the native Koffi module; did you bundle it\?\).*npm install koffi[^\n]*$/,
      ),
    })
  })

  it('another platform', () => {
    const code = { code: 'ERR_UNSUPPORTED_PLATFORM' }
    expect(() => requireLinux('darwin', 'arm64')).toThrow(expect.objectContaining(code))
    expect(() => requireLinux('darwin', 'arm64')).toThrow(/use utun:\/\/ for IP packets/)
    expect(() => requireLinux('win32', 'x64')).not.toThrow(/utun/)
    expect(() => requireLinux('linux', 'mips')).toThrow(expect.objectContaining(code))
    expect(() => requireLinux('linux', 'x64')).not.toThrow()
  })
})

describe('receiving', () => {
  it('hands frames over until EAGAIN, then rearms the watch', async () => {
    const { libc, waker, sink, receive } = await opened()
    const frames = [1, 2, 3].map((seed) => plainFrame('ethernet', 100, seed))
    libc.incoming.push(...frames.map((f) => withHeader(f)))
    waker.owner?.readable()
    expect([sink.readables, sink.frames.length]).toEqual([1, 0])
    expect(receive(2)).toBe(true)
    expect(waker.rearms).toBe(0)
    expect(receive(2)).toBe(false)
    expect(waker.rearms).toBe(1)
    expect(sink.frames).toEqual(frames)
    expect(sink.complaints).toEqual([])
  })

  it('puts the IP header on a word boundary, on tap and tun, with and without vnet header', async () => {
    for (const kind of ['tap', 'tun'] as const) {
      for (const offload of [true, false]) {
        const { libc, sink, receive } = await opened({ offload }, kind)
        const frame = plainFrame(kind === 'tap' ? 'ethernet' : 'ip', 100, 1)
        libc.incoming.push(offload ? withHeader(frame) : frame)
        let at = -1
        sink.onFrame = (buf, start) => {
          at = buf.byteOffset + start + (kind === 'tap' ? 14 : 0)
        }
        // On an IP medium the sink's filter is Ethernet's: look at the place only.
        receive(64)
        expect(at % 4).toBe(0)
        expect(at).toBeGreaterThanOrEqual(HEADROOM)
      }
    }
  })

  it('translates the vnet header', async () => {
    const { libc, sink, receive, count } = await opened()
    const tcp = tcpFrame({ payload: noise(60_000, 1), gso: 1448 })
    libc.incoming.push(withHeader(tcp.bytes, { flags: 1, gsoType: 1, gsoSize: 1448, csumStart: 34, csumOffset: 16 }))
    libc.incoming.push(withHeader(plainFrame('ethernet', 60, 2), { flags: 2 }))
    receive(64)
    expect(sink.metas).toEqual([frameMeta(CSUM_PARTIAL, GSO_TCP4, 1448), CSUM_VALID])
    expect([count('inFrames'), count('inSuper'), count('inPartial')]).toEqual([2, 1, 1])
  })

  it('stops when so many bytes were handed over that the caches are full', async () => {
    const { libc, sink, receive } = await opened()
    for (let i = 0; i < 20; i++) libc.incoming.push(withHeader(plainFrame('ethernet', 60_000, i)))
    expect(receive(64)).toBe(true)
    expect(sink.frames.length).toBe(9)
  })

  it('drops frames that are too short or of a kind not asked for', async () => {
    const { libc, sink, receive, count } = await opened()
    libc.incoming.push(withHeader(new Uint8Array(0)), new Uint8Array(4))
    libc.incoming.push(withHeader(plainFrame('ethernet', 60, 1), { gsoType: 3, gsoSize: 100 }))
    expect(receive(64)).toBe(false)
    expect(sink.frames.length).toBe(0)
    expect([count('dropInShort'), count('dropInUnknownGso')]).toEqual([2, 1])
  })

  it('tells a sink that came late', async () => {
    const system = fakeSystem()
    const link = await openTap({}, system)
    system.waker.owner?.readable()
    const sink = new RecordingSink(new VirtualHost())
    link.attach(sink)
    expect(sink.readables).toBe(1)
  })

  it('dies once when the interface is deleted, with words', async () => {
    const { libc, waker, sink, receive, link } = await opened()
    let told: Error | undefined
    sink.closed = (error?: Error) => {
      sink.closes++
      told = error
    }
    libc.fail.set('read', EBADFD)
    expect(receive(64)).toBe(false)
    expect(receive(64)).toBe(false)
    await link.close()
    expect([sink.closes, waker.closes, libc.openFds.size]).toEqual([1, 1, 0])
    expect(told).toMatchObject({ code: 'EBADFD', message: expect.stringContaining('tap7 is gone') })
    expect(link.send(new Uint8Array(200), 50, 110, 0)).toBe(true)
    expect(link.counters().dropOutClosed).toBe(1)
  })
})

describe('sending', () => {
  const lend = (frame: Uint8Array, start = 64): Uint8Array => {
    const buf = new Uint8Array(start + frame.length + 32)
    buf.set(frame, start)
    return buf
  }

  it('is one write of header and frame, from any place of any buffer', async () => {
    const { libc, link, count } = await opened()
    const frame = plainFrame('ethernet', 200, 1)
    for (const start of [16, 18, 100, 255, 265, 266, 5000]) {
      const buf = lend(frame, start)
      for (let twice = 0; twice < 2; twice++) expect(link.send(buf, start, start + 200, 0)).toBe(true)
    }
    expect(libc.written.length).toBe(14)
    for (const bytes of libc.written) expect(bytes).toEqual(withHeader(frame))
    expect([count('outFrames'), count('outOctets')]).toEqual([14, 2800])
  })

  it('keeps several buffers apart', async () => {
    const { libc, link } = await opened()
    const frames = [1, 2, 3].map((seed) => plainFrame('ethernet', 80, seed))
    const bufs = frames.map((f) => lend(f))
    const order = [0, 1, 0, 1, 2, 2, 0, 1, 2]
    for (const i of order) link.send(bufs[i], 64, 144, 0)
    expect(libc.written).toEqual(order.map((i) => withHeader(frames[i])))
  })

  it('describes super-segments to the kernel', async () => {
    const { libc, link, count } = await opened()
    const { bytes, meta } = tcpFrame({ payload: noise(30_000, 1), gso: 1460, partial: true })
    link.send(lend(bytes), 64, 64 + bytes.length, meta)
    const header = { flags: 1, gsoType: 1, hdrLen: 54, gsoSize: 1460, csumStart: 34, csumOffset: 16 }
    expect(libc.written).toEqual([withHeader(bytes, header)])
    expect([count('outSuper'), count('outPartial')]).toEqual([1, 1])
  })

  it('refuses when the kernel has no room, and says when there is again', async () => {
    const { libc, waker, link, sink, count } = await opened()
    const frame = plainFrame('ethernet', 100, 1)
    const buf = lend(frame)
    libc.fail.set('write', EAGAIN)
    expect(link.send(buf, 64, 164, 0)).toBe(false)
    expect(buf.slice(64, 164)).toEqual(frame)
    expect([waker.wants, sink.writables, count('outBlocked')]).toEqual([1, 0, 1])
    libc.fail.delete('write')
    waker.owner?.writable()
    expect(sink.writables).toBe(1)
    expect(link.send(buf, 64, 164, 0)).toBe(true)
  })

  it.each([
    [EIO, 'dropOutInterfaceDown'],
    [EINVAL, 'dropOutInvalid'],
    [ENOMEM, 'dropOutNoMemory'],
    [105, 'dropOutNoMemory'],
    [EBADFD, 'dropOutOther'],
  ])('loses what the kernel refuses (errno %i), counted as %s', async (errno, reason) => {
    const { libc, link, count } = await opened()
    libc.fail.set('write', errno)
    expect(link.send(lend(plainFrame('ethernet', 100, 1)), 64, 164, 0)).toBe(true)
    expect([count(reason), count('outFrames')]).toEqual([1, 0])
  })

  it('loses what does not fit the link', async () => {
    const { libc, link, count } = await opened()
    const big = new Uint8Array(80_000)
    expect(link.send(big, 64, 64 + 1500 + 14 + 1, 0)).toBe(true)
    expect(link.send(big, 64, 64 + 65_535 + 15, frameMeta(CSUM_PARTIAL, GSO_TCP4, 1460))).toBe(true)
    expect([count('dropOutTooLong'), libc.written.length]).toEqual([2, 0])
    expect(link.send(big, 64, 164, CSUM_PARTIAL)).toBe(true)
    expect(count('dropOutNoTransport')).toBe(1)
    const plain = await opened({ offload: false })
    expect(plain.link.send(big, 64, 164, CSUM_PARTIAL)).toBe(true)
    expect(plain.count('dropOutNoOffload')).toBe(1)
    expect([libc.written.length, plain.libc.written.length]).toEqual([0, 0])
  })

  it('does not count VLAN tags into the MTU', async () => {
    const { libc, link, count } = await opened()
    const tagged = noise(1500 + 22, 1)
    tagged.set([0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x88, 0xb5], 12)
    expect(link.send(lend(tagged), 64, 64 + 1522, 0)).toBe(true)
    expect(link.send(lend(noise(1523, 1).fill(0x81, 12, 13).fill(0, 13, 14)), 64, 64 + 1523, 0)).toBe(true)
    expect([count('outFrames'), count('dropOutTooLong'), libc.written.length]).toEqual([1, 1, 1])
  })

  it('reads no memory outside the buffer, not even when the buffer was transferred away', async () => {
    const { libc, link, count } = await opened()
    const buf = lend(plainFrame('ethernet', 100, 1))
    expect(link.send(buf, 64, 164, 0)).toBe(true)
    expect(link.send(buf, 4, 104, 0)).toBe(true)
    expect(link.send(buf, 64, 64, 0)).toBe(true)
    expect(link.send(buf, 164, 64, 0)).toBe(true)
    expect(link.send(buf, 64, buf.length + 1, 0)).toBe(true)
    structuredClone(buf.buffer, { transfer: [buf.buffer as ArrayBuffer] })
    expect(link.send(buf, 64, 164, 0)).toBe(true)
    expect(count('dropOutBadRange')).toBe(5)
    expect(libc.written.length).toBe(1)
  })
})

describe('closing', () => {
  it('closes watch and descriptor once, and is silent afterwards', async () => {
    const { libc, waker, link, sink, receive } = await opened()
    await link.close()
    await link.close()
    expect([waker.closes, libc.openFds.size]).toEqual([1, 0])
    sink.silent = true
    waker.owner?.readable()
    waker.owner?.writable()
    expect(receive(64)).toBe(false)
    link.ref(true)
    expect(waker.refs).toEqual([])
    expect(sink.complaints).toEqual([])
  })

  it('leaves the descriptor open until the watch has let go of it', async () => {
    const { libc, waker, link } = await opened()
    let letGo = (): void => {}
    waker.close = () => new Promise<void>((resolve) => (letGo = resolve))
    const closed = link.close()
    expect(libc.openFds.size).toBe(1)
    letGo()
    await closed
    expect(libc.openFds.size).toBe(0)
  })

  it('passes ref on', async () => {
    const { waker, link } = await opened()
    link.ref(true)
    link.ref(false)
    expect(waker.refs).toEqual([true, false])
  })
})
