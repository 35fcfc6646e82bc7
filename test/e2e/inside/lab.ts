/**
 * A stack on a tap, and the host's tools against it, in a network namespace of its own (see test/support/inside.ts).
 *
 * The stack runs in the test's process, so tools are always waited for asynchronously. Nothing is synchronised by sleeping: a tool that
 * serves is waited for by the line that says it listens, everything else by its exit.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import type { NetIf } from '../../../src/netif/netif.ts'
import { createStack, type NodeStack, type StackOptions } from '../../../src/node/stack.ts'
import { type Services, startServices } from '../../../src/services/inetd.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { isRoot } from '../../support/root.ts'
import { openConnections } from '../../support/two-stacks.ts'

export const HOST = '10.0.0.1'
export const OURS = '10.0.0.2'
export const MAC = '02:00:00:00:00:02'

/** How long anything is waited for that ends by itself. */
const PATIENCE_MS = 20_000

/** A shell command now, without looking at any network: set-up only. */
export function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** How many answers ping(8) says it had: with a deadline it asks on until it had enough, so on a busy machine there may be more. */
export function received(ran: { readonly out: string }): number {
  return Number(/(\d+) received/.exec(ran.out)?.[1] ?? -1)
}

/** Before any tap: without IPv6 the kernel sends nothing by itself, and counters can be exact. */
export function quietKernel(): void {
  sh('ip link set lo up; for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done')
  // No tail loss probes: what the kernel says twice because this process was not given a processor is no fault of the stack.
  sysctl('tcp_early_retrans', '0')
}

/** Sets `net.ipv4.<name>` of the namespace; returns what sets it back. */
export function sysctl(name: string, value: string): () => void {
  const path = `/proc/sys/net/ipv4/${name}`
  const before = sh(`cat ${path}`).trim()
  sh(`echo '${value}' > ${path}`)
  return () => void sh(`echo '${before}' > ${path}`)
}

export interface Ran {
  code: number | null
  signal: NodeJS.Signals | null
  out: string
  /** Standard output as it was. */
  bytes: Buffer
  err: string
  ms: number
}

export interface RunOptions {
  input?: Uint8Array
  /** Killed after this time; `signal` says so. */
  timeoutMs?: number
}

/** Programs that run, by who started them: the test that is running, or hooks around all tests. What is left of them ends with it. */
const running = { test: new Set<ChildProcess>(), all: new Set<ChildProcess>() }
let withinTest = false

/** `child` ends with the test that starts it, at the latest. */
function endsWithTest(child: ChildProcess): void {
  const children = withinTest ? running.test : running.all
  children.add(child)
  child.once('close', () => children.delete(child))
}

async function endAll(children: Set<ChildProcess>): Promise<void> {
  const left = [...children].filter((child) => child.exitCode === null && child.signalCode === null)
  children.clear()
  await Promise.all(
    left.map(async (child) => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }),
  )
}

beforeEach(() => {
  withinTest = true
})
// Hooks that clean up run from the last to the first, so a file's own come before these.
afterEach(() => {
  withinTest = false
  return endAll(running.test)
})
afterAll(() => endAll(running.all))

/** Runs a shell command to its end. */
export async function run(command: string, options: RunOptions = {}): Promise<Ran> {
  const { input, timeoutMs = 20_000 } = options
  const start = performance.now()
  // `exec`: the shell becomes the tool, so that a kill reaches it.
  const child = spawn('sh', ['-c', command], { stdio: 'pipe', timeout: timeoutMs, killSignal: 'SIGKILL' })
  endsWithTest(child)
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => out.push(data))
  child.stderr.on('data', (data: Buffer) => err.push(data))
  child.stdin.on('error', () => undefined) // a tool may end before it has read everything
  child.stdin.end(input)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  const bytes = Buffer.concat(out)
  return { code, signal, bytes, out: bytes.toString(), err: Buffer.concat(err).toString(), ms: performance.now() - start }
}

/**
 * ping(8) of the stack with these options until `count` answers have come. With a deadline (-w) ping goes on until it has them; without,
 * it waits for the last one for two round trips only. Returns how many came, and what ping said.
 */
export async function pinged(count: number, options: string): Promise<{ received: number; said: string }> {
  const ran = await run(`exec ping -n -w 15 -c ${count} ${options} ${OURS}`)
  return { received: received(ran), said: ran.out + ran.err }
}

/** A tool that serves until it is stopped. */
export class Served {
  said = ''
  bytes: Buffer[] = []
  readonly closed: Promise<number | null>

  constructor(readonly child: ChildProcessWithoutNullStreams) {
    child.stdout.on('data', (data: Buffer) => this.bytes.push(data))
    this.closed = once(child, 'close').then(([code]) => code as number | null)
  }

  get received(): Buffer {
    return Buffer.concat(this.bytes)
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    this.child.kill(signal)
    return this.closed
  }
}

/** Starts a program and waits until its standard error matches `ready`. It ends with the test, if it was not ended before. */
export async function serve(command: string, args: readonly string[], ready: RegExp): Promise<Served> {
  const child = spawn(command, args, { stdio: 'pipe' })
  endsWithTest(child)
  const served = new Served(child)
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (data: Buffer) => {
      served.said += data.toString()
      if (ready.test(served.said)) resolve()
    })
    child.once('close', (code) => reject(new Error(`${command} ended with ${code} before it was ready: ${served.said}`)))
    child.once('error', reject)
  })
  return served
}

/** Waits for what the other side of a link does in its own time. Throws when that takes longer than a busy machine needs. */
export async function until(done: () => boolean, what: () => string = () => `${done}`): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while (!done()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Waits until a shell command succeeds, as `until` does. */
export async function untilSucceeds(command: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const ran = await run(command)
    if (ran.code === 0) return
    if (performance.now() > end) throw new Error(`waited in vain for ${command}: ${ran.out}${ran.err}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The connections of the stack have ended, or end soon. */
export async function expectNothingOpen(stack: NodeStack): Promise<void> {
  await until(() => openConnections(stack).length === 0).catch(() => expect(openConnections(stack)).toEqual([]))
}

/** socat that listens: `listener('TCP-LISTEN:5001,reuseaddr', 'EXEC:cat')`. */
export function listener(address: string, to: string): Promise<Served> {
  return serve('socat', ['-d', '-d', address, to], /listening on|starting data transfer loop/)
}

export interface LabOptions {
  offload?: boolean
  mtu?: number
  /** The kernel waits long before it retransmits; default true. For tests in which nothing is lost, on machines that are busy. */
  patient?: boolean
  config?: StackOptions
  /** Goes around the tap: a capture, a fault. */
  wrap?: (link: NetIf) => NetIf
}

/** Counters that tell of traffic and not of trouble. Every other one must be zero, or be named by the test. */
const TRAFFIC =
  /^(ip|icmp|udp|tcp)(In|Out)(Receives|Octets|Delivers|Requests|Msgs|Echos|EchoReps|Datagrams|Segs|BcastPkts|McastPkts)$|^(ipReasmReqds|ipReasmOKs|ipFragOKs|ipFragCreates|tcpActiveOpens|tcpPassiveOpens|tcpConnectionsOpened|tcpTimeWaited|DelayedACKs)$|^(in|out)(Frames|Octets|Broadcast|Multicast|Requests|Replies|Super|Partial|Blocked)$|^(vnetHeader|offloadAccepted|inBatches|wakeUps)$/

export class Lab {
  private constructor(
    readonly stack: NodeStack,
    readonly eth0: AttachedInterface,
    readonly services: Services,
    readonly dir: string,
  ) {}

  /** The labs' folders; a lab that a test could not close leaves its own to the end of the file. */
  private static readonly folders = new Set<string>()

  static {
    afterAll(() => {
      for (const dir of Lab.folders) rmSync(dir, { recursive: true, force: true })
    })
  }

  /** tap0 with the host as 10.0.0.1 and a stack as 10.0.0.2, with echo, discard, daytime and chargen. */
  static async open(options: LabOptions = {}): Promise<Lab> {
    const tap = await openTap({ name: 'tap0', host: `${HOST}/24`, offload: options.offload ?? true, mtu: options.mtu })
    const { tcp, ...config } = options.config ?? {}
    // As for the kernel: no probe of the tail where nothing is lost but time.
    const probes = { tailLossProbe: !(options.patient ?? true) }
    const stack = createStack({ name: 'lab', ...config, tcp: { ...probes, ...tcp } })
    // The kernel drops what it has to say to us beyond 500 frames of backlog, and a run shares its processors with others.
    sh('ip link set tap0 txqueuelen 20000')
    if (options.patient ?? true) sh(`ip route change 10.0.0.0/24 dev tap0 proto kernel scope link src ${HOST} rto_min 3s`)
    const link = options.wrap === undefined ? tap : options.wrap(tap)
    const eth0 = stack.attach(link, { name: 'eth0', mac: MAC, addresses: [`${OURS}/24`] })
    await eth0.ready
    stack.host.hold()
    const dir = mkdtempSync(join(tmpdir(), 'tapstack-lab-'))
    Lab.folders.add(dir)
    return new Lab(stack, eth0, startServices(stack), dir)
  }

  /** Non-zero counters that tell of trouble, as `tcp.dropBadChecksum`, those in `expected` left out. */
  troubles(...expected: string[]): Record<string, number> {
    const found: Record<string, number> = {}
    for (const [layer, values] of Object.entries(this.stack.counters(true))) {
      for (const [name, n] of Object.entries(values)) {
        if (n !== 0 && !TRAFFIC.test(name) && !expected.includes(`${layer}.${name}`)) found[`${layer}.${name}`] = n
      }
    }
    return found
  }

  counter(layer: string, name: string): number {
    const n = this.stack.counters()[layer]?.[name]
    if (n === undefined) throw new Error(`no counter ${layer}.${name}`)
    return n
  }

  /** A file of the lab's own directory, which goes with the lab. */
  file(name: string, bytes?: Uint8Array): string {
    const path = join(this.dir, name)
    if (bytes !== undefined) writeFileSync(path, bytes)
    return path
  }

  async close(): Promise<void> {
    this.stack.host.release()
    this.services.close()
    await this.stack.close()
    rmSync(this.dir, { recursive: true, force: true })
    Lab.folders.delete(this.dir)
  }
}

/** Bytes that look like nothing and are the same every time (xorshift32). */
export function noise(length: number, seed: number): Buffer {
  const words = new Int32Array((length + 3) >> 2)
  let x = seed | 1
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    words[i] = x
  }
  return Buffer.from(words.buffer, 0, length)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * tcpdump of everything on a device into `path`, frames of up to `longest` bytes whole. Each frame waits in a slot of that size. `within`: a command
 * that goes into another namespace first.
 */
export async function tcpdump(path: string, longest: number, device = 'tap0', within: readonly string[] = []): Promise<Served> {
  const options = ['-i', device, '-U', '--immediate-mode', '-B', '262144', '-s', String(longest), '-w', path]
  const [command, ...args] = [...within, 'tcpdump', ...(isRoot ? ['-Z', 'root'] : []), ...options]
  return serve(command, args, /listening on/)
}

/** Ends a tcpdump; returns how many frames the kernel could not give it. */
export async function endTcpdump(dump: Served): Promise<number> {
  await dump.stop('SIGINT')
  return Number(/(\d+) packets? dropped by kernel/.exec(dump.said)?.[1] ?? -1)
}

const PREFERENCES = [
  'ip.check_checksum:TRUE',
  'tcp.check_checksum:TRUE',
  'udp.check_checksum:TRUE',
  // Bodies of megabytes are compared elsewhere: no need to put them together again.
  'tcp.desegment_tcp_streams:FALSE',
].flatMap((p) => ['-o', p])

/** Frames of a capture that match a display filter, one line of text each, at most 20. Throws when tshark complains about the file. */
export async function judged(path: string, filter: string): Promise<string[]> {
  const ran = await run(`exec tshark -n -r ${path} ${PREFERENCES.join(' ')} -Y '${filter}'`, { timeoutMs: 60_000 })
  const complaints = ran.err.split('\n').filter((l) => l !== '' && !/^Running as user/.test(l))
  if (ran.code !== 0 || complaints.length > 0) throw new Error(`tshark ${ran.code} on ${path}: ${complaints.join('\n')}`)
  return ran.out.split('\n').filter(Boolean).slice(0, 20)
}
