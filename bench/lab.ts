/**
 * Namespaces, the link between the host's kernel and the peer, and the peer's process. Nothing of it touches the machine's own network: every
 * interface and address lives in a namespace that is named after this process and deleted whatever happens.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'

export const HOST = '10.0.0.1'
export const PEER = '10.0.0.2'

export type Link = 'tap' | 'veth' | 'veth-nooffload'
/** `same`: client and peer on one core, where a wake-up across cores cannot drown what is measured. */
export type Pin = '' | 'same'

export interface LabOptions {
  link: Link
  pin: Pin
  mtu: number
  /** The peer's command, or null for the kernel's own services over veth. */
  command: readonly string[] | null
  /** The far end of a veth pair gets the peer's address: for a command that serves by the kernel. Without a command it always does. */
  address?: boolean
  /** tcpbench. */
  client: string
}

const SYSCTLS = [
  'net.ipv6.conf.default.disable_ipv6=1',
  'net.ipv4.tcp_no_metrics_save=1',
  'net.ipv4.tcp_rmem=4096 131072 6291456',
  'net.ipv4.tcp_wmem=4096 16384 4194304',
  // A client that opens ten thousand connections a second looks for free ports longer than all else takes.
  'net.ipv4.ip_local_port_range=1024 65535',
  'net.ipv4.tcp_tw_reuse=1',
]

/** What exists of all labs of this process, for the way out. */
const alive = new Set<Lab>()
let hooked = false

function hook(): void {
  if (hooked) return
  hooked = true
  process.on('exit', () => {
    for (const lab of [...alive]) lab.remove()
  })
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(code))
  }
}

function run(command: readonly string[]): void {
  const r = spawnSync(command[0], command.slice(1), { encoding: 'utf8' })
  if (r.status !== 0) throw new Error(`${command.join(' ')}: ${(r.stderr || r.error?.message || `exit ${r.status}`).trim()}`)
}

export function inNamespace(name: string, command: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', name, ...command]
}

/** A namespace with loopback, no IPv6, and the buffers of a kernel as it is installed. */
export function makeNamespace(name: string): void {
  run(['ip', 'netns', 'add', name])
  run(inNamespace(name, ['ip', 'link', 'set', 'lo', 'up']))
  run(inNamespace(name, ['sysctl', '-qw', ...SYSCTLS]))
}

export interface Output {
  status: number | null
  stdout: string
  stderr: string
}

/** Runs a command to its end, at most `timeoutMs`. */
export function capture(command: readonly string[], timeoutMs: number): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
    children.add(child)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.on('error', reject)
    child.on('close', (status) => {
      clearTimeout(timer)
      children.delete(child)
      resolve({ status, stdout, stderr })
    })
  })
}

const children = new Set<ChildProcess>()

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export class Lab {
  private static count = 0
  readonly host: string
  readonly far: string
  private peer: ChildProcess | null = null
  /** What the peer said when it was ready. */
  ready = ''
  /** Last lines of the peer's standard error. */
  private said = ''

  constructor(readonly options: LabOptions) {
    const id = `tb${process.pid}${String.fromCharCode(97 + (Lab.count++ % 26))}`
    this.host = `${id}h`
    this.far = options.link === 'tap' ? this.host : `${id}p`
    hook()
    alive.add(this)
  }

  get pid(): number {
    return this.peer?.pid ?? 0
  }

  up(): void {
    const { link, mtu, command, address } = this.options
    for (const name of new Set([this.host, this.far])) makeNamespace(name)
    if (link === 'tap') return // the peer makes its own
    run(inNamespace(this.host, ['ip', 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1', 'netns', this.far]))
    if (command === null || address === true) run(inNamespace(this.far, ['ip', 'addr', 'add', `${PEER}/24`, 'dev', 'veth1']))
    run(inNamespace(this.far, ['ip', 'link', 'set', 'veth1', 'up', 'mtu', `${mtu}`]))
    if (link === 'veth-nooffload') {
      const off = ['tso', 'off', 'gso', 'off', 'gro', 'off']
      run(inNamespace(this.host, ['ethtool', '-K', 'veth0', ...off]))
      run(inNamespace(this.far, ['ethtool', '-K', 'veth1', ...off]))
    }
    run(inNamespace(this.host, ['ip', 'addr', 'add', `${HOST}/24`, 'dev', 'veth0']))
    run(inNamespace(this.host, ['ip', 'link', 'set', 'veth0', 'up', 'mtu', `${mtu}`]))
  }

  /** Starts the peer and waits until it answers on its echo port. */
  async start(): Promise<void> {
    const { command, client, pin } = this.options
    const argv = command ?? [client, 'serve', PEER, '0', '900', '--cc', 'cubic']
    const [file, ...rest] = inNamespace(this.far, [...pinned(pin), ...argv])
    const peer = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.peer = peer
    this.said = ''
    peer.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-2000)
    })
    if (command !== null) this.ready = await this.readyLine(peer)
    for (let i = 0; i < 50; i++) {
      const r = await capture(inNamespace(this.host, [client, 'connrate', PEER, '7', '1', '--count', '1']), 10_000)
      if (r.status === 0) return
      if (peer.exitCode !== null) break
      await sleep(100)
    }
    throw new Error(`the peer does not answer: ${argv.join(' ')}\n${this.said}`)
  }

  private readyLine(peer: ChildProcess): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the peer did not say "ready" within 20 s\n${this.said}`)), 20_000)
      const lines = createInterface({ input: peer.stdout! })
      lines.on('line', (line) => {
        if (!line.startsWith('ready')) return
        clearTimeout(timer)
        resolve(line)
      })
      peer.once('exit', (code) => {
        clearTimeout(timer)
        reject(new Error(`the peer ended with ${code} before it was ready\n${this.said}`))
      })
      peer.once('error', reject)
    })
  }

  /** Runs a client command in the host's namespace. */
  client(command: readonly string[], timeoutMs = 60_000): Promise<Output> {
    return capture(inNamespace(this.host, [...pinned(this.options.pin), ...command]), timeoutMs)
  }

  async stop(): Promise<void> {
    const peer = this.peer
    this.peer = null
    if (peer === null || peer.exitCode !== null || peer.signalCode !== null) return
    const gone = new Promise<void>((resolve) => peer.once('exit', () => resolve()))
    peer.kill('SIGTERM')
    const timer = setTimeout(() => peer.kill('SIGKILL'), 5000)
    await gone
    clearTimeout(timer)
  }

  async down(): Promise<void> {
    await this.stop()
    this.remove()
  }

  /** Synchronous, for exits of every kind. */
  remove(): void {
    alive.delete(this)
    this.peer?.kill('SIGKILL')
    this.peer = null
    for (const child of children) child.kill('SIGKILL')
    for (const name of new Set([this.host, this.far])) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
  }
}

/** Client and peer share core 0. */
function pinned(pin: Pin): string[] {
  return pin === 'same' ? ['taskset', '-c', '0'] : []
}

/** Why no tap can be measured here, or null. */
export function cannotTap(): string | null {
  if (process.platform !== 'linux') return 'taps and namespaces are Linux'
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces (run `sudo npm run bench`)'
  for (const tool of [
    ['ip', '-V'],
    ['taskset', '-V'],
    ['cc', '--version'],
  ]) {
    if (spawnSync(tool[0], [tool[1]], { stdio: 'ignore' }).error !== undefined) return `needs ${tool[0]}, which is not installed`
  }
  const probe = `tb${process.pid}t`
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' })
  if (made.status !== 0) return `no network namespace can be made: ${made.stderr.trim()}`
  const tap = spawnSync('ip', ['netns', 'exec', probe, 'ip', 'tuntap', 'add', 'tap0', 'mode', 'tap'], { encoding: 'utf8' })
  spawnSync('ip', ['netns', 'del', probe], { stdio: 'ignore' })
  return tap.status === 0 ? null : `no tap can be made: ${tap.stderr.trim()}`
}
