/**
 * The programs of VDE in a namespace: vde_plug and vdens on a vxvde network, a vde_switch, our own switch, and at both ends of our standard input and
 * output. Every tap is in a namespace of its own (`Cell`), so that packets between two of them go by the virtual wire and no other way.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openVde, type VdeOptions } from '../../../src/backend/vde.ts'
import { serveVde } from '../../../src/backend/vde-server.ts'
import { openVxvde } from '../../../src/backend/vxvde.ts'
import type { NetIf } from '../../../src/netif/netif.ts'
import { NodeHost, nodeHost, nodeRandom } from '../../../src/node/host.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { Switch } from '../../../src/switch/switch.ts'
import { netifConformance } from '../../support/netif-conformance.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { judged, type Ran, run, sh, tcpdump, until } from './lab.ts'

const dir = scratchFolder('vde')
const children: ChildProcess[] = []
/** CI tries every option; elsewhere the first of each kind stands for the others. */
const some = <T>(cases: readonly T[]): readonly T[] => (process.env.CI === 'true' ? cases : cases.slice(0, 1))
const closers: (() => Promise<unknown> | unknown)[] = []

beforeAll(() => {
  sh('ip link set lo up multicast on; ip route add 224.0.0.0/4 dev lo')
  // The kernel sends no multicasts of IPv6 by lo: a cable whose other end nobody looks at.
  sh('ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ip addr add fd99::1/64 dev d0 nodad')
})

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  for (const child of children.splice(0).reverse()) {
    const ended = child.exitCode !== null || child.signalCode !== null ? null : once(child, 'exit')
    try {
      process.kill(-child.pid!, 'SIGKILL') // what it started, too
    } catch {
      // It has ended.
    }
    await ended
  }
})

interface Program {
  readonly child: ChildProcess
  said(): string
  until(what: RegExp): Promise<void>
}

/** Starts a program that goes on. Its input stays open: a vde_switch would end with it. */
function start(command: string, ...args: string[]): Program {
  const child = spawn(command, args, { stdio: 'pipe', detached: true })
  children.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  return {
    child,
    said: () => text,
    until: (what) =>
      until(
        () => what.test(text),
        () => `${command} saying ${what}, which said: ${text}`,
      ),
  }
}

const example = (file: string, link: string): Program =>
  start(process.execPath, '--import', 'tsx', `examples/${file}`, '--link', link)

/** A network namespace with one tap, whose other end is a vde_plug outside of it. */
class Cell {
  private constructor(private readonly holder: ChildProcess) {}

  static async open(vnl: string, tap: string, ...addresses: string[]): Promise<Cell> {
    const script = 'ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo in; exec sleep 1000'
    const holder = spawn('unshare', ['-n', 'sh', '-c', script], { detached: true })
    children.push(holder)
    await once(holder.stdout!, 'data')
    start('vde_plug', vnl, `tap://${tap}`)
    await until(
      () => spawnSync('ip', ['link', 'show', tap]).status === 0,
      () => `vde_plug ${vnl} making ${tap}`,
    )
    const cell = new Cell(holder)
    sh(`ip link set ${tap} netns ${holder.pid}`)
    const give = addresses.map((a) => `ip addr add ${a} dev ${tap}${a.includes(':') ? ' nodad' : ''}`)
    await cell.run([...give, `ip link set ${tap} up`].join(' && '))
    return cell
  }

  run(command: string): Promise<Ran> {
    return run(`exec nsenter -t ${this.holder.pid} -n sh -c '${command}'`)
  }

  /** ping(8) until two answers have come. */
  async pings(to: string): Promise<void> {
    const ran = await this.run(`ping -n -c 2 -i 0.1 -w 15 ${to}`)
    expect(ran.out + ran.err).toMatch(/ [1-9]\d* received/)
  }

  /** Says something to an echo, by nc(1). */
  async echoes(to: string, port: number): Promise<void> {
    const ran = await this.run(`seq 1 20000 | nc -N -w 10 ${to} ${port} | cksum; seq 1 20000 | cksum`)
    const [got, wanted] = ran.out.trim().split('\n')
    expect(got, ran.err).toBe(wanted)
  }

  /** Watches a tap from inside. */
  dump(tap: string, path: string) {
    return tcpdump(path, 1600, tap, ['nsenter', '-t', String(this.holder.pid), '-n'])
  }
}

/** A stack of our own on a link, which answers. */
async function stackOn(link: NetIf, ...addresses: string[]): Promise<NodeStack> {
  const stack = createStack({ name: 'ours' })
  closers.push(() => stack.close())
  const vde0 = stack.attach(link, { name: 'vde0', addresses })
  await vde0.ready
  const echo = stack.net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
  await once(echo.listen(5000, '::'), 'listening')
  return stack
}

const BAD = '_ws.malformed || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad"'

describe('a vxvde network', () => {
  it('has the programs of the tutorial, a vde_plug with a tap, and nothing that tshark objects to', async () => {
    const [tap, wire] = [join(dir, 'tap.pcap'), join(dir, 'wire.pcap')]
    const dumps = [await tcpdump(wire, 1600, 'lo')]
    const first = example('vdestack.ts', 'vxvde://234.0.0.1')
    const second = example('vdestack_nl.ts', 'vxvde://234.0.0.1')
    const cell = await Cell.open('vxvde://234.0.0.1', 'vde0', '10.0.0.1/24', 'fc00::1:1/64')
    dumps.push(await cell.dump('vde0', tap))
    await first.until(/^ready/m)
    await second.until(/^ready/m)
    for (const to of ['10.0.0.50', 'fc00::1:50', '10.0.0.60', 'fc00::1:60']) {
      await cell.pings(to)
      await cell.echoes(to, 5000)
    }
    expect(first.said()).toMatch(/^::ffff:10\.0\.0\.1 connected\n[\s\S]*^fc00::1:1 connected\n/m)
    first.child.kill('SIGTERM')
    await once(first.child, 'close')
    for (const dump of dumps) await dump.stop('SIGINT')
    expect(await judged(tap, BAD)).toEqual([])
    expect((await judged(tap, 'tcp.dstport == 5000')).length).toBeGreaterThan(0)
    // Nodes talk to each other directly when they know each other; who goes says so to all: eight bytes of UDP payload.
    expect((await judged(wire, 'udp && ip.dst == 127.0.0.1 && udp.dstport != 14789')).length).toBe(20)
    expect((await judged(wire, 'udp.length == 16 && ip.dst == 234.0.0.1 && udp.dstport == 14789')).length).toBe(1)
  })

  it.each(
    some([
      ['IPv6, another port and number', 'vxvde://ff05::77/v6/port=15001/vni=77/ttl=2/if=d0'],
      ["a group's number, in the address too", 'vxvde://239.0.0.1/grp=4242'],
      ['an interface and a table of one place', 'vxvde://234.0.0.9/if=lo/hashsize=1/expiretime=1'],
    ]),
  )('has the options of vdeplug: %s', async (_, url) => {
    const cell = await Cell.open(url, 'vdeo', '10.1.0.1/24')
    const link = await openVxvde(url)
    await stackOn(link, '10.1.0.2/24')
    await cell.pings('10.1.0.2')
    await cell.echoes('10.1.0.2', 5000)
    expect(link.counters()).toMatchObject({ inErrors: 0, outErrors: 0, inOtherNetwork: 0, dropInTooShort: 0 })
    if (url.includes('grp')) expect(link.describe()).toContain('239.0.16.146 port 14789, vni 4242')
  })

  it('has vdens, which needs no right to anything', async () => {
    await stackOn(await openVxvde('vxvde://234.0.0.1'), '10.0.0.50/24')
    const inside = 'ip addr add 10.0.0.1/24 dev vde0; ip link set vde0 up; exec ping -n -c 2 -i 0.2 -w 10 10.0.0.50'
    const ran = await run(`exec vdens vxvde://234.0.0.1 sh -c '${inside}'`)
    expect(ran.out + ran.err).toMatch(/ [1-9]\d* received/)
  })

  it('carries frames of 9000 bytes, in fragments underneath', async () => {
    const url = 'vxvde://234.0.0.1/mtu=9000'
    const a = await stackOn(await openVxvde(url), '10.0.0.2/24')
    await stackOn(await openVxvde(url), '10.0.0.3/24')
    const answers = []
    for await (const reply of a.ping('10.0.0.3', { count: 2, intervalMs: 10, size: 8900 })) answers.push(reply)
    expect(answers).toMatchObject([{ bytes: 8900 }, { bytes: 8900 }])
  })
})

/** A vde_switch, and what it is told. */
async function vdeSwitch(path: string): Promise<Program> {
  const program = start('vde_switch', '-s', path)
  await until(
    () => existsSync(join(path, 'ctl')),
    () => `vde_switch serving ${path}`,
  )
  return program
}

describe('a port of vde_switch', () => {
  it.each<VdeOptions['by']>(['koffi', 'vde_plug'])('is ours by %s, among two taps', async (by) => {
    const path = join(dir, `sw-${by}`)
    const program = await vdeSwitch(path)
    const a = await Cell.open(`vde://${path}`, 'vdea', '10.2.0.1/24', 'fd02::1/64')
    const b = await Cell.open(`vde://${path}[9]`, 'vdeb', '10.2.0.2/24', 'fd02::2/64')
    const link = await openVde({ path, by, port: 5 })
    const stack = await stackOn(link, '10.2.0.3/24', 'fd02::3/64')
    expect(link.describe?.()).toContain(by === 'koffi' ? `port 5 of the VDE switch ${path} through koffi` : 'by a child vde_plug')
    for (const cell of [a, b]) {
      await cell.pings('10.2.0.3')
      await cell.pings('fd02::3')
      await cell.echoes('10.2.0.3', 5000)
      await cell.echoes('fd02::3', 5000)
    }
    await a.pings('10.2.0.2')
    const ended = new Promise<Error | undefined>((resolve) => {
      stack.onLinkClosed = (_, error) => resolve(error)
    })
    program.child.kill('SIGTERM')
    const error = await ended
    if (by === 'koffi') expect(error?.message).toMatch(/is unplugged: the switch has ended/)
  })
})

describe('our switch', () => {
  it('serves vde_plug, vdens and ourselves', async () => {
    const path = join(dir, 'ours')
    const ours = new Switch({ host: nodeHost, random: nodeRandom })
    closers.push(() => ours.close())
    const server = await serveVde(ours, path)
    closers.push(() => server.close())
    const [tap] = [join(dir, 'ours.pcap')]
    const a = await Cell.open(`vde://${path}`, 'vdea', '10.3.0.1/24', 'fd03::1/64')
    const b = await Cell.open(path, 'vdeb', '10.3.0.2/24', 'fd03::2/64')
    const dump = await a.dump('vdea', tap)
    await stackOn(await openVde(`vde://${path}`), '10.3.0.3/24', 'fd03::3/64')
    await stackOn(ours.port('memory'), '10.3.0.4/24')
    for (const to of ['10.3.0.2', '10.3.0.3', 'fd03::2', 'fd03::3', '10.3.0.4']) await a.pings(to)
    await b.echoes('10.3.0.3', 5000)
    await a.echoes('fd03::3', 5000)
    await a.echoes('10.3.0.4', 5000)
    expect(server.count).toBe(3)
    const inside = 'ip addr add 10.3.0.9/24 dev vde0; ip link set vde0 up; exec ping -n -c 2 -i 0.2 -w 10 10.3.0.1'
    const ran = await run(`exec vdens vde://${path} sh -c '${inside}'`)
    expect(ran.out + ran.err).toMatch(/ [1-9]\d* received/)
    await until(
      () => server.count === 3,
      () => 'the unplugging of vdens',
    )
    await dump.stop('SIGINT')
    expect(await judged(tap, BAD)).toEqual([])
  })
})

describe('tapstack switch --vde', () => {
  it('is a switch for vde_plug and ourselves, tells who comes and goes, and leaves nothing', async () => {
    const path = join(dir, 'command')
    const program = start(process.execPath, '--import', 'tsx', 'src/cli/main.ts', 'switch', '--vde', `${path}[mode=666]`)
    await program.until(/^ready: whoever connects to /m)
    expect(statSync(join(path, 'ctl')).mode & 0o777).toBe(0o666)
    const cell = await Cell.open(`vde://${path}`, 'vdec', '10.4.0.1/24')
    const link = await openVde(`vde://${path}`)
    await stackOn(link, '10.4.0.2/24')
    await cell.pings('10.4.0.2')
    await cell.echoes('10.4.0.2', 5000)
    await link.close()
    await program.until(new RegExp(`tapstack switch: vde:${path}\\.2 has ended`))
    program.child.kill('SIGINT')
    expect(await once(program.child, 'exit')).toEqual([0, null])
    expect(existsSync(path)).toBe(false)
  })
})

describe('standard input and output', () => {
  const node = `${process.execPath} --import tsx`

  it.each(
    some([
      // Without the two dashes vde_plug takes the program's options for its own.
      ['vde_plug -- URL = program', 'vde_plug --', `${node} examples/vdestack.ts`, '10.0.0.50', 5000],
      ['dpipe vde_plug URL = program', 'dpipe vde_plug', `${node} examples/vdestack.ts`, '10.0.0.50', 5000],
      ['vde_plug -- URL = tapstack', 'vde_plug --', `${node} src/cli/main.ts echo -v`, '10.0.0.2', 7],
    ] as const),
  )('are a link to %s', async (_, plug, program, ours, port) => {
    const path = mkdtempSync(join(dir, 'stdio-'))
    await vdeSwitch(path)
    const cell = await Cell.open(`vde://${path}`, 'vdes', '10.0.0.1/24')
    // A shell before it, because dpipe wants to be no leader of a session. All of them end with the switch.
    const started = start('sh', '-c', `${plug} vde://${path} = ${program} --link stdio:; true`)
    await started.until(/ready/) // on standard error, as all words are
    await cell.pings(ours)
    await cell.echoes(ours, port)
  })
})

const host = new NodeHost()

async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 25)) // two processes and two pipes
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

netifConformance(
  'a port of our VDE switch by a child vde_plug',
  async () => {
    const links: NetIf[] = []
    const path = mkdtempSync(join(dir, 'conformance-'))
    const server = await serveVde((link) => links.push(link), path)
    const a = await openVde({ path, by: 'vde_plug' })
    await until(
      () => links.length === 1,
      () => 'vde_plug connecting',
    )
    return { a, b: links[0], host, settle, close: () => server.close() }
  },
  // vde_plug loses what its pipe does not take.
  { refuses: false, burst: 8 },
)

netifConformance(
  'two nodes of a vxvde network',
  async () => {
    const [a, b] = [await openVxvde('vxvde://234.5.6.7'), await openVxvde('vxvde://234.5.6.7')]
    return { a, b, host, settle }
  },
  { refuses: false, minFrame: 15 },
)
