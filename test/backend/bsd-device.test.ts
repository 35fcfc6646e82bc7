/** macOS's utun and the BSDs' taps, over calls that a test answers: what crosses them, byte by byte, is what their headers say. */
import { describe, expect, it } from 'vitest'
import { type BsdCalls, type BsdSystem, hasBsdTap, openBsdTap, openUtun, utunOptions } from '../../src/backend/bsd-device.ts'
import * as wire from '../../src/backend/bsd-wire.ts'
import { EAGAIN, ENETDOWN } from '../../src/backend/libc.ts'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { FakeWaker } from '../support/fake-libc.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0+$/, '')

/** A system: answers as the manuals say, and keeps what it was asked. */
class FakeBsd implements BsdCalls {
  readonly log: string[] = []
  readonly open_ = new Set<number>()
  readonly incoming: Uint8Array[] = []
  readonly written: Uint8Array[] = []
  /** The call that fails, and its errno there. */
  fail: [call: string, errno: number] | null = null
  /** Said when there is nothing to read. */
  empty = 35
  connected: Uint8Array | null = null
  private last = 0
  private next = 3
  private readonly buffers: Uint8Array[] = []

  constructor(private readonly name: string) {}

  private call(what: string): boolean {
    this.log.push(what)
    if (this.fail === null || !what.startsWith(this.fail[0])) return true
    this.last = this.fail[1]
    return false
  }

  private fd(made: boolean): number {
    if (!made) return -1
    this.open_.add(this.next)
    return this.next++
  }

  open(path: string, flags: number): number {
    return this.fd(this.call(`open ${path} 0x${flags.toString(16)}`))
  }

  socket(domain: number, type: number, protocol: number): number {
    return this.fd(this.call(`socket ${domain} ${type} ${protocol}`))
  }

  close(fd: number): number {
    expect(this.open_.delete(fd)).toBe(true)
    return 0
  }

  connect(_fd: number, address: Uint8Array): number {
    this.connected = address
    return this.call('connect') ? 0 : -1
  }

  fcntl(_fd: number, command: number, value: number): number {
    return this.call(`fcntl ${command} ${value}`) ? 0 : -1
  }

  ioctl(_fd: number, request: number, bytes: Uint8Array): number {
    if (!this.call(`ioctl 0x${request.toString(16)} ${bytes.length}`)) return -1
    const view = new DataView(bytes.buffer)
    if (request === wire.CTLIOCGINFO) {
      expect(text(bytes.subarray(4))).toBe('com.apple.net.utun_control')
      view.setUint32(0, 0x01020304, true)
    } else if ((request & 0x80000000) !== 0) {
      expect(text(bytes)).toBe(this.name)
      view.setInt32(16, 1380, true)
    } else bytes.set(new TextEncoder().encode(this.name))
    return 0
  }

  getsockopt(_fd: number, level: number, option: number, value: Uint8Array, length: Int32Array): number {
    if (!this.call(`getsockopt ${level} ${option} ${length[0]}`)) return -1
    value.set(new TextEncoder().encode(this.name))
    return 0
  }

  read(_fd: number, at: bigint | Uint8Array): number {
    const bytes = this.incoming.shift()
    if (bytes === undefined) {
      this.last = this.empty
      return -1
    }
    this.at(at as bigint).set(bytes)
    return bytes.length
  }

  write(_fd: number, at: bigint | Uint8Array, length: number): number {
    if (!this.call('write')) return -1
    this.written.push(this.at(at as bigint).slice(0, length))
    return length
  }

  errno(): number {
    return wire.linuxErrno(this.last)
  }

  addressOf(buf: Uint8Array): bigint {
    return BigInt(this.buffers.push(buf)) << 32n
  }

  private at(address: bigint): Uint8Array {
    return this.buffers[Number(address >> 32n) - 1].subarray(Number(address & 0xffffffffn))
  }
}

function lab(platform: string, name: string) {
  const libc = new FakeBsd(name)
  const waker = new FakeWaker()
  const sink = new RecordingSink(new VirtualHost())
  const receive = (link: { receive(budget: number): boolean }): boolean => {
    sink.receiving = true
    const more = link.receive(64)
    sink.receiving = false
    return more
  }
  return { libc, waker, sink, receive, system: { platform, libc, waker } }
}

/** A frame in the middle of a buffer, as the stack sends one. */
function send(link: { send(buf: Uint8Array, start: number, end: number, meta: number): boolean }, frame: Uint8Array): boolean {
  const buf = new Uint8Array(64 + frame.length)
  buf.set(frame, 64)
  return link.send(buf, 64, buf.length, 0)
}

describe('what crosses', () => {
  it('has the numbers of the headers', () => {
    expect(wire.CTLIOCGINFO).toBe(0xc0644e03)
    const of = (platform: string) => wire.BSD_PLATFORMS.get(platform)
    expect(of('darwin')).toMatchObject({ SIOCGIFMTU: 0xc0206933, TAPGIFNAME: null, hasTap: false })
    expect(of('freebsd')).toMatchObject({ SIOCGIFMTU: 0xc0206933, TAPGIFNAME: 0x4020745d })
    expect(of('openbsd')).toMatchObject({ SIOCGIFMTU: 0xc020697e, TAPGIFNAME: null, hasTap: true })
    expect(of('netbsd')).toMatchObject({ SIOCGIFMTU: 0xc090697e, TAPGIFNAME: 0x40906500 })
    expect(['linux', 'darwin', 'freebsd', 'openbsd', 'netbsd'].map(hasBsdTap)).toEqual([false, false, true, true, true])
  })

  it('has the structures of the headers', () => {
    expect(wire.controlPlace(0x01020304, 8)).toEqual(Uint8Array.of(32, 32, 2, 0, 4, 3, 2, 1, 8, 0, 0, 0, ...new Uint8Array(20)))
    const info = wire.controlNamed('abc')
    expect([info.length, ...info.subarray(0, 8)]).toEqual([100, 0, 0, 0, 0, 97, 98, 99, 0])
    expect(wire.ifreq(wire.BSD_PLATFORMS.get('netbsd') ?? expect.fail(), 'tap0').length).toBe(144)
    expect(wire.nameIn(Uint8Array.of(116, 97, 112, 0, 9))).toBe('tap')
  })

  it('has errors as the links know them, and their names', () => {
    expect([35, 11, 1, 50].map(wire.linuxErrno)).toEqual([EAGAIN, 35, 1, ENETDOWN])
    expect([35, 11, 1, 50].map((n) => wire.bsdErrnoName(wire.linuxErrno(n)))).toEqual(['EAGAIN', 'EDEADLK', 'EPERM', 'ENETDOWN'])
    expect(wire.linuxErrno(100)).toBe(1100)
  })
})

describe('a utun', () => {
  it('is a socket of a kernel control, whose packets stand behind their families', async () => {
    const { libc, sink, receive, system } = lab('darwin', 'utun7')
    const link = await openUtun({ name: 'utun7' }, system)
    expect(libc.log).toEqual([
      'socket 32 2 2',
      'ioctl 0xc0644e03 100',
      'connect',
      'getsockopt 2 2 16',
      'fcntl 2 1',
      'fcntl 4 4',
      'socket 2 2 0',
      'ioctl 0xc0206933 32',
    ])
    expect(libc.connected).toEqual(wire.controlPlace(0x01020304, 8))
    expect(link).toMatchObject({ name: 'utun7', medium: 'ip', mtu: 1380, offload: 0, gsoMax: 0, vnetHeader: false })
    expect(link.describe()).toBe('utun7: utun (untested on macOS itself), mtu 1380, no offload, woken by hand')
    link.attach(sink)

    const four = plainFrame('ip', 100, 1)
    const six = Uint8Array.from(four).fill(0x60, 0, 1)
    expect([send(link, four), send(link, six)]).toEqual([true, true])
    expectFrames(libc.written, [Uint8Array.of(0, 0, 0, 2, ...four), Uint8Array.of(0, 0, 0, 30, ...six)])
    libc.incoming.push(Uint8Array.of(0, 0, 0, 2, ...four), Uint8Array.of(0, 0, 0, 2), Uint8Array.of(0, 0, 0, 30, ...six))
    expect(receive(link)).toBe(false)
    expectFrames(sink.frames, [four, six])
    expect(sink.metas).toEqual([0, 0])
    expect(link.counters()).toMatchObject({ inFrames: 2, inOctets: 200, outFrames: 2, outOctets: 200, dropInShort: 1 })
    await link.close()
    expect(libc.open_.size).toBe(0)
  })

  it('is refused, blocked or ended with the errors of the system', async () => {
    const { libc, sink, receive, system, waker } = lab('darwin', 'utun0')
    const link = await openUtun({}, system)
    expect(libc.connected?.[8]).toBe(0)
    link.attach(sink)
    libc.fail = ['write', 35]
    expect([send(link, plainFrame('ip', 100, 1)), waker.wants]).toEqual([false, 1])
    libc.fail = ['write', 55]
    expect(send(link, plainFrame('ip', 100, 1))).toBe(true)
    expect(link.counters()).toMatchObject({ outBlocked: 1, dropOutNoMemory: 1 })
    expect([receive(link), waker.rearms]).toEqual([false, 1])
    libc.empty = 57
    expect([receive(link), sink.closes, libc.open_.size]).toEqual([false, 1, 0])

    for (const [call, errno, code, words] of [
      ['socket 32', 1, 'EPERM', /run it with sudo/],
      ['ioctl', 2, 'ENOENT', /ioctl/],
      ['connect', 16, 'EBUSY', /in use/],
      ['getsockopt', 22, 'EINVAL', /refused/],
      ['fcntl', 9, 'EBADF', /refused/],
      ['socket 2 ', 55, 'ENOBUFS', /socket/],
      ['ioctl 0xc0206933', 6, 'ENXIO', /ioctl/],
    ] as const) {
      const other = lab('darwin', 'utun0')
      other.libc.fail = [call, errno]
      await expect(openUtun({}, other.system), call).rejects.toMatchObject({ code, message: expect.stringMatching(words) })
      expect(other.libc.open_.size, call).toBe(0)
    }
  })

  it('has a URL, and is of macOS only', async () => {
    const read = (url: string) => utunOptions(splitLinkUrl(url) ?? expect.fail())
    expect([read('utun://'), read('utun://utun7')]).toEqual([{}, { name: 'utun7' }])
    expect(() => read('utun://?host=10.0.0.1/24')).toThrow(/Unknown option host/)
    await expect(openUtun({ name: 'tun7' }, lab('darwin', '').system)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    for (const platform of ['linux', 'freebsd', 'win32']) {
      await expect(openUtun({}, lab(platform, '').system)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED_PLATFORM' })
    }
  })
})

describe('a tap of a BSD', () => {
  it.each([
    ['freebsd', 'tap', 'tap3', ['open /dev/tap 0x100006', 'ioctl 0x4020745d 32', 'socket 2 2 0', 'ioctl 0xc0206933 32']],
    ['netbsd', 'tap', 'tap3', ['open /dev/tap 0x400006', 'ioctl 0x40906500 144', 'socket 2 2 0', 'ioctl 0xc090697e 144']],
    ['openbsd', 'tap3', 'tap3', ['open /dev/tap3 0x10006', 'socket 2 2 0', 'ioctl 0xc020697e 32']],
  ])('is a device with bare frames (%s)', async (platform, asked, name, log) => {
    const { libc, sink, receive, system } = lab(platform, name)
    const link = await openBsdTap({ name: asked, mtu: undefined }, system)
    expect(libc.log).toEqual(log)
    expect(link).toMatchObject({ name, medium: 'ethernet', mtu: 1380, offload: 0 })
    expect(link.describe()).toContain(`tap (untested on ${platform} itself)`)
    link.attach(sink)
    const frame = plainFrame('ethernet', 100, 1)
    send(link, frame)
    expectFrames(libc.written, [frame])
    libc.incoming.push(frame)
    receive(link)
    expectFrames(sink.frames, [frame])
    await link.close()
    expect(libc.open_.size).toBe(0)
  })

  it('says what is wrong', async () => {
    const { system, libc } = lab('freebsd', 'tap0')
    await expect(openBsdTap({ host: '10.0.0.1/24' }, system)).rejects.toThrow(/Option host of tap0 is for Linux: on freebsd/)
    await expect(openBsdTap({ name: '../sda' }, system)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    await expect(openBsdTap({}, lab('darwin', '').system)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED_PLATFORM' })
    libc.fail = ['open', 2]
    await expect(openBsdTap({}, system)).rejects.toMatchObject({ code: 'ENOENT', message: expect.stringMatching(/ifconfig/) })
    libc.fail = ['ioctl 0x4020745d', 25]
    await expect(openBsdTap({}, system)).rejects.toMatchObject({ code: 'ENOTTY' })
    expect(libc.open_.size).toBe(0)
  })
})

/** One of two systems that a cable joins: what one device writes the other reads, and a full one blocks. */
class CabledBsd extends FakeBsd {
  peer: CabledBsd = this
  readonly waker = new FakeWaker()

  override write(fd: number, at: bigint | Uint8Array, length: number): number {
    if (this.peer.incoming.length < 64) {
      super.write(fd, at, length)
      this.peer.incoming.push(...this.written.splice(0))
      return length
    }
    this.fail = ['write', 35]
    super.write(fd, at, length)
    this.fail = null
    return -1
  }

  /** Wakes whoever waits for what has come, or for room. */
  wake(): void {
    const { owner } = this.waker
    if (this.incoming.length > 0 && this.open_.size > 0) owner?.readable()
    if (this.waker.wants > 0 && this.peer.incoming.length < 32) {
      this.waker.wants = 0
      owner?.writable()
    }
  }
}

for (const [platform, name, open] of [
  ['darwin', 'utun3', (system) => openUtun({ name: 'utun3' }, system)],
  ['freebsd', 'tap3', (system) => openBsdTap({ name: 'tap3' }, system)],
] as [string, string, (system: BsdSystem) => ReturnType<typeof openUtun>][]) {
  netifConformance(`${name}, over calls that answer as ${platform} is said to`, async () => {
    const [one, other] = [new CabledBsd(name), new CabledBsd(name)]
    one.peer = other
    other.peer = one
    const host = new VirtualHost()
    const [a, b] = await Promise.all([one, other].map((libc) => open({ platform, libc, waker: libc.waker })))
    const settle = (): void => {
      for (const libc of [one, other]) libc.wake()
      host.run()
    }
    return { a, b, host, settle }
  })
}
