/** Taps of a real kernel. Runs in a network namespace of its own: see test/support/inside.ts. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { openTap, openTun, type TapNetIf } from '../../../src/backend/tap.ts'
import { Offload } from '../../../src/netif/netif.ts'
import { NodeHost } from '../../../src/node/host.ts'
import { plainFrame } from '../../support/frames.ts'
import { RecordingSink } from '../../support/netif-conformance.ts'
import { isRoot } from '../../support/root.ts'
import { until } from './lab.ts'

interface LinkInfo {
  ifname: string
  mtu: number
  flags: string[]
  address: string
  addr_info: { family: string; local: string; prefixlen: number; broadcast?: string; tentative?: boolean }[]
  linkinfo?: { info_data: { type: string; persist: boolean; vnet_hdr: boolean; user?: string; group?: string } }
}

function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What ip(8) says of an interface; null when there is none of that name. */
function ipShow(name: string): LinkInfo | null {
  const all = JSON.parse(sh('ip -j -d addr show')) as LinkInfo[]
  return all.find((i) => i.ifname === name) ?? null
}

function addresses(name: string): string[] {
  return (ipShow(name)?.addr_info ?? []).filter((a) => !a.local.startsWith('fe80')).map((a) => `${a.local}/${a.prefixlen}`)
}

const open: TapNetIf[] = []

async function tap(...args: Parameters<typeof openTap>): Promise<TapNetIf> {
  const link = await openTap(...args)
  open.push(link)
  return link
}

afterEach(async () => {
  for (const link of open.splice(0)) await link.close()
  sh('for i in $(ls /proc/sys/net/ipv4/conf); do case $i in tap*|tun*|br*|veth*) ip link del $i 2>/dev/null || true;; esac; done')
})

describe('the interface', () => {
  it('is made, and goes with the link', async () => {
    const link = await tap({ name: 'tap5' })
    expect(link.name).toBe('tap5')
    expect(ipShow('tap5')).toMatchObject({ mtu: 1500, linkinfo: { info_data: { type: 'tap', persist: false, vnet_hdr: true } } })
    expect(ipShow('tap5')?.flags).not.toContain('UP')
    await link.close()
    expect(ipShow('tap5')).toBeNull()
  })

  it('takes the first free number of a pattern', async () => {
    const names = [await tap({ name: 'tap%d' }), await tap({ name: 'tap%d' }), await tap({ name: 'x%d' })].map((l) => l.name)
    expect(names).toEqual(['tap0', 'tap1', 'x0'])
  })

  it('gets addresses of both families, MTU and UP; IPv6 is usable at once', async () => {
    const link = (await openLink('tap://tap0?host=10.0.0.1/24,fd00::1/64,192.168.7.1/30&mtu=9000')) as TapNetIf
    open.push(link)
    expect(link.mtu).toBe(9000)
    expect(addresses('tap0')).toEqual(['10.0.0.1/24', '192.168.7.1/30', 'fd00::1/64'])
    const info = ipShow('tap0')
    expect(info).toMatchObject({ mtu: 9000, addr_info: [{ broadcast: '10.0.0.255' }, { broadcast: '192.168.7.3' }, {}, {}] })
    expect(info?.addr_info.find((a) => a.local === 'fd00::1')?.tentative).toBeUndefined()
    expect(info?.flags).toEqual(expect.arrayContaining(['UP', 'LOWER_UP']))
    expect(sh('ip -6 route get fd00::2')).toContain('src fd00::1')
  })

  it('may be a tun', async () => {
    const link = await openTun({ host: '10.3.0.1/24' })
    open.push(link)
    expect(link).toMatchObject({ name: 'tun0', medium: 'ip', mtu: 1500 })
    expect(ipShow('tun0')).toMatchObject({ linkinfo: { info_data: { type: 'tun' } } })
    expect(addresses('tun0')).toEqual(['10.3.0.1/24'])
  })

  it('has all offloads of the kernel, or none when that is asked', async () => {
    const features = (name: string): string => sh(`ethtool -k ${name}`)
    const link = await tap({ name: 'tap0' })
    expect(link.offload & (Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6)).toBe(15)
    expect(link.describe()).toContain('csum,tso4,tso6')
    expect(features('tap0')).toMatch(/tx-tcp-segmentation: on/)
    expect(features('tap0')).toMatch(/tx-udp-segmentation: off/)
    const plain = await tap({ name: 'tap1', offload: false })
    expect(plain).toMatchObject({ offload: 0, gsoMax: 0 })
    expect(ipShow('tap1')).toMatchObject({ linkinfo: { info_data: { vnet_hdr: false } } })
    expect(features('tap1')).toMatch(/tx-checksumming: off/)
  })
})

describe('a persistent interface', () => {
  it('stays, is attached to again with other options, and goes when told so', async () => {
    const first = await tap({ name: 'tap0', host: '10.0.0.1/24', persist: true })
    await first.close()
    expect(ipShow('tap0')).toMatchObject({ linkinfo: { info_data: { persist: true } } })
    expect(addresses('tap0')).toEqual(['10.0.0.1/24'])
    sh('ip link set tap0 mtu 1400')
    const plain = await tap({ name: 'tap0', offload: false, host: ['10.0.0.1/24', '10.0.1.1/24'] })
    expect([plain.mtu, plain.offload]).toEqual([1400, 0])
    expect(sh('ethtool -k tap0')).toMatch(/tx-tcp-segmentation: off/)
    expect(addresses('tap0')).toEqual(['10.0.0.1/24', '10.0.1.1/24'])
    await plain.close()
    const last = await tap({ name: 'tap0', persist: false })
    expect(last.gsoMax).toBe(65535)
    await last.close()
    expect(ipShow('tap0')).toBeNull()
  })

  it('made by ip tuntap is attached to and left as it is', async () => {
    sh('ip tuntap add dev tap0 mode tap; ip addr add 10.5.0.1/24 dev tap0; ip link set tap0 up')
    const link = await tap({ name: 'tap0' })
    await link.close()
    expect(ipShow('tap0')?.flags).toContain('UP')
    expect(addresses('tap0')).toEqual(['10.5.0.1/24'])
  })

  it.skipIf(!isRoot)('belongs to its owner, who needs no privilege', async () => {
    const host = ['10.0.0.1/24', 'fd00::1/64']
    const first = await tap({ name: 'tap0', host, persist: true, owner: 'nobody', group: 'nogroup' })
    await first.close()
    expect(ipShow('tap0')).toMatchObject({ linkinfo: { info_data: { user: 'nobody', group: 'nogroup' } } })
    // The device node of this machine may be root's own: as udev has it elsewhere, 0666, in a mount namespace of its own.
    const asNobody = (url: string, what: string): string =>
      sh(`unshare -m sh -ec '
        mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups --bounding-set=-all --inh-caps=-all \
          ${process.execPath} --import tsx test/e2e/inside/hold-tap.ts "${url}" ${what}' || true`).trim()
    expect(asNobody('tap://tap0', 'idle')).toBe('tap0')
    // Each time at once after the device was opened: its link is not up yet.
    for (let i = 0; i < 3; i++) expect(asNobody('tap://tap0?host=10.0.0.1/24,fd00::1/64&mtu=1500', 'idle')).toBe('tap0')
    expect(asNobody('tap://tap0?host=10.0.9.1/24', 'idle')).toMatch(/^EPERM\n.*sudo ip addr add 10\.0\.9\.1\/24 dev tap0/)
    expect(asNobody('tap://tap0?mtu=1400', 'idle')).toMatch(/^EPERM\n.*sudo ip link set tap0 mtu 1400/)
    expect(asNobody('tap://tap1', 'idle')).toMatch(/^EPERM\n.*ip tuntap add dev tap1 mode tap user \$USER/)
  })
})

describe('errors of the real kernel', () => {
  it('say that a name is taken', async () => {
    await tap({ name: 'tap0' })
    await expect(tap({ name: 'tap0' })).rejects.toMatchObject({ code: 'EBUSY', message: expect.stringContaining('tap0') })
  })

  it('say that the name is another kind of device, of tun or of all', async () => {
    sh('ip link add veth0 type veth peer name veth1')
    await expect(tap({ name: 'veth0' })).rejects.toMatchObject({ code: 'EINVAL' })
    sh('ip tuntap add dev tun3 mode tun; ip tuntap add dev tap3 mode tap multi_queue')
    await expect(tap({ name: 'tun3' })).rejects.toMatchObject({ code: 'EINVAL' })
    await expect(tap({ name: 'tap3' })).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringContaining('multi_queue') })
  })

  it('say that IPv6 is off there, and leave nothing behind', async () => {
    sh('echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6')
    try {
      await expect(tap({ name: 'tap0', host: 'fd00::1/64' })).rejects.toMatchObject({ code: 'EACCES' })
    } finally {
      sh('echo 0 > /proc/sys/net/ipv6/conf/default/disable_ipv6')
    }
    expect(ipShow('tap0')).toBeNull()
  })
})

describe('frames', () => {
  it('are lost, and counted, while the interface is down', async () => {
    const link = await tap({ name: 'tap0' })
    link.attach(new RecordingSink(new NodeHost()))
    expect(link.send(plainFrame('ethernet', 100, 1), 20, 100, 0)).toBe(true)
    expect(link.counters()).toMatchObject({ dropOutInterfaceDown: 1, outFrames: 0 })
  })

  it('wait when the kernel has no room: refused, then writable, and none that was taken is lost', async () => {
    // The shaper behind the bridge holds what we sent, and holds it against our send buffer.
    const link = await tap({ name: 'tap0', up: true, sendBufferBytes: 20_000 })
    sh(`ip link add br0 type bridge; ip link add veth0 type veth peer name veth1
        for i in tap0 veth0; do ip link set $i master br0; done; for i in br0 veth0 veth1; do ip link set $i up; done
        tc qdisc add dev veth0 root tbf rate 20mbit burst 20kb limit 10mb`)
    const received = (): number =>
      (JSON.parse(sh('ip -s -j link show veth1')) as { stats64: { rx: { bytes: number } } }[])[0].stats64.rx.bytes
    const before = received()
    const frame = plainFrame('ethernet', 1400, 1)
    const buf = new Uint8Array(1500)
    let taken = 0
    let refused = 0
    await new Promise<void>((resolve) => {
      const sink = new RecordingSink(new NodeHost())
      const more = (): void => {
        for (; taken < 200; taken++) {
          buf.set(frame, 32)
          if (link.send(buf, 32, 1432, 0)) continue
          refused++
          return
        }
        resolve()
      }
      sink.writable = more
      link.attach(sink)
      link.ref(true)
      more()
    })
    expect(refused).toBeGreaterThan(3)
    expect(link.counters()).toMatchObject({ outFrames: 200, outBlocked: refused })
    const all = before + 200 * 1400
    await until(
      () => received() >= all,
      () => `${all} bytes: ${received()}`,
    )
  })

  it('end with words when somebody deletes the interface', async () => {
    const link = await tap({ name: 'tap0', up: true })
    const sink = new RecordingSink(new NodeHost())
    const told = new Promise<Error | undefined>((resolve) => {
      sink.closed = (error?: Error) => resolve(error)
    })
    sink.readable = () => void link.receive(64)
    link.attach(sink)
    link.ref(true)
    sh('ip link del tap0')
    expect(await told).toMatchObject({ code: 'EBADFD', message: expect.stringContaining('deleted') })
    expect(link.send(new Uint8Array(200), 50, 110, 0)).toBe(true)
  })
})

describe.each(['libuv', 'poll'])('the process that holds a tap, woken by %s,', (wake) => {
  function hold(what: string, url = 'tap://tap0?host=10.0.0.1/24'): ChildProcess {
    return spawn(process.execPath, ['--import', 'tsx', 'test/e2e/inside/hold-tap.ts', url, what], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TAPSTACK_WAKE: wake },
    })
  }

  /** Its first words. */
  async function said(child: ChildProcess): Promise<string> {
    child.stderr?.resume()
    const [data] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
    return data.toString().trim()
  }

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('leaves nothing behind on %s', async (signal) => {
    const child = hold('wait')
    expect(await said(child)).toBe('tap0')
    expect(ipShow('tap0')?.flags).toContain('UP')
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([null, signal]) // as a process without handlers ends
    expect(ipShow('tap0')).toBeNull()
  })

  it.each([
    ['an uncaught exception', 'throw', 1],
    ['process.exit', 'exit', 3],
    ['having nothing left to do', 'idle', 0],
    ['closing', 'close', 0],
  ])('leaves nothing behind after %s', async (_, what, code) => {
    const child = hold(what)
    expect(await said(child)).toBe('tap0')
    expect(await once(child, 'exit')).toEqual([code, null])
    expect(ipShow('tap0')).toBeNull()
  })

  it('does not leave the tap to a child', async () => {
    const child = hold('child')
    let text = ''
    child.stdout?.on('data', (data: Buffer) => {
      text += data.toString()
    })
    while (!/^tap0\n\d+\n$/.test(text)) await once(child.stdout as NodeJS.ReadableStream, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const grandchild = Number(text.split('\n')[1])
    try {
      expect(ipShow('tap0')).toBeNull()
    } finally {
      process.kill(grandchild, 'SIGKILL')
    }
  })
})

it('a worker thread falls back to the poll thread, and ends by itself', async () => {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'test/e2e/inside/hold-tap.ts', 'tap://tap0?host=10.0.0.1/24', 'worker'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [data] = (await once(child.stdout, 'data')) as [Buffer]
  expect(data.toString()).toMatch(/^tap0 .*woken by poll thread/)
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(ipShow('tap0')).toBeNull()
})
