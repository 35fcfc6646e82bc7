/**
 * `npm run bench:loss`: goodput against the Linux kernel over a link that loses frames, beside what two Linux kernels get over the same link.
 *
 * Both times a kernel is on tap0, with offload off, and `fault()` loses and delays in both directions behind it; at the far end is our stack, or
 * by a relay in the same process another kernel. Both use the same congestion control. Rows: who sends. Needs root, a C compiler, iproute2.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cannotTap, capture, inNamespace, makeNamespace, PEER, sleep } from './lab.ts'
import { bundle, compile } from './programs.ts'
import { median, parseLine } from './summary.ts'

const CLIENT = 'bench/tcpbench'
const PEER_PROGRAM = 'bench/build/lossy-peer.js'

function value(name: string, otherwise: string): string {
  const i = process.argv.indexOf(`--${name}`)
  return i < 0 ? otherwise : process.argv[i + 1]
}

const seconds = Number(value('seconds', '6'))
const runs = Number(value('runs', '3'))
const loss = Number(value('loss', '0.01'))
const delays = value('delays', '0,10').split(',').map(Number)
const algorithms = value('congestion', 'cubic,newreno,bbr').split(',')
/** Ours by the kernel's name. */
const KERNEL_NAME: Record<string, string> = { newreno: 'reno' }

const near = `tl${process.pid}n`
const far = `tl${process.pid}f`
const processes = new Set<ChildProcess>()

function up(): void {
  for (const name of [near, far]) makeNamespace(name)
}

function down(): void {
  for (const p of processes) p.kill('SIGKILL')
  for (const name of [near, far]) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
}

async function start(command: readonly string[], ready: RegExp | null): Promise<ChildProcess> {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  processes.add(child)
  let said = ''
  child.stderr.on('data', (d: Buffer) => (said += d.toString()))
  child.once('exit', () => processes.delete(child))
  if (ready === null) return child
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (d: Buffer) => ready.test(d.toString()) && resolve())
    child.once('exit', (code) => reject(new Error(`${command.join(' ')} ended with ${code}: ${said}`)))
  })
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await Promise.race([gone, sleep(2000)])
  child.kill('SIGKILL')
}

/** Mbit/s of one transfer. */
async function transfer(direction: 'send' | 'recv', port: number, congestion: string): Promise<number> {
  const command = [CLIENT, direction, PEER, `${port}`, `${seconds}`, '--omit', '1', '--cc', congestion]
  const r = await capture(inNamespace(near, command), (seconds + 20) * 1000)
  const line = parseLine(r.stdout) as { mbit_s?: number } | null
  if (line?.mbit_s === undefined) throw new Error(`${command.join(' ')}: ${r.stdout}${r.stderr}`)
  return line.mbit_s
}

async function measure(ours: boolean, delay: number, congestion: string): Promise<{ send: number[]; recv: number[] }> {
  const kernels = KERNEL_NAME[congestion] ?? congestion
  up()
  const out = { send: [] as number[], recv: [] as number[] }
  try {
    const argv = ours ? ['ours', `${loss}`, `${delay}`, congestion] : ['relay', `${loss}`, `${delay}`, far]
    const peer = await start(inNamespace(near, [process.execPath, PEER_PROGRAM, ...argv]), /ready/)
    const server = ours ? null : await start(inNamespace(far, [CLIENT, 'serve', PEER, '0', '900', '--cc', kernels]), null)
    await sleep(500)
    for (let i = 0; i < runs; i++) {
      out.send.push(await transfer('send', ours ? 9 : 5001, kernels))
      out.recv.push(await transfer('recv', ours ? 19 : 5002, kernels))
    }
    if (server !== null) await stop(server)
    await stop(peer)
  } finally {
    down()
  }
  return out
}

const why = cannotTap()
if (why !== null) {
  console.error(`bench:loss cannot run: ${why}`)
  process.exit(1)
}
process.on('exit', down)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
await bundle({ 'lossy-peer': 'bench/lossy-peer.ts' })
compile()
const available = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').split(/\s+/)

console.log(`loss ${loss * 100} % each way, median of ${runs} runs of ${seconds} s, Mbit/s`)
console.log(
  '| delay each way | congestion control | Linux to Linux | Linux to ours | ratio | Linux to Linux, back | ours to Linux | ratio |',
)
console.log('|---|---|---|---|---|---|---|---|')
for (const delay of delays) {
  for (const algorithm of algorithms) {
    const name = KERNEL_NAME[algorithm] ?? algorithm
    if (!available.includes(name)) {
      console.log(`| ${delay} ms | ${algorithm} | not in this kernel | | | | |`)
      continue
    }
    const kernel = await measure(false, delay, algorithm)
    const ours = await measure(true, delay, algorithm)
    const show = (x: number): string => (x < 100 ? x.toFixed(1) : x.toFixed(0))
    // Each direction beside the same one of two kernels: its losses are the same ones, drawn from the same seed.
    const columns = (['send', 'recv'] as const).map((direction) => {
      const theirs = median(kernel[direction])
      const us = median(ours[direction])
      return `${show(theirs)} | ${show(us)} | ${(us / theirs).toFixed(2)} |`
    })
    console.log(`| ${delay} ms | ${algorithm} | ${columns.join(' ')}`)
  }
}
