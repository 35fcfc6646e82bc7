/**
 * The Node half: Node's protocols, and bulk by shape of the socket, on a stack over a tap and on the kernel over veth. Both peers are up at once, and every test
 * is run on one and then on the other.
 */
import { spawnSync } from 'node:child_process'
import { HOST, Lab, PEER } from './lab.ts'
import { BULK_BYTES, PORTS } from './node-ports.ts'
import type { NodeTest, Options } from './options.ts'
import { NODE_TESTS } from './options.ts'
import { parseLine, parseWrk, type Sample } from './summary.ts'

const CLIENT = 'bench/tcpbench'
const PROGRAM = 'bench/build/node-peer.js'
/** Connections of the load: a pool of requests, and few for bulk. */
const REQUESTING = 16
const LOADING = 2

interface Side {
  name: string
  lab: Lab
}

function labOf(name: 'ours' | 'kernel', options: Options): Lab {
  const node = [process.execPath]
  if (options.profile !== null) node.push('--cpu-prof', `--cpu-prof-dir=${options.profile}`)
  const ours = name === 'ours'
  const command = ours ? [PROGRAM, `tap://tap0?host=${HOST}/24`, `${PEER}/24`] : [PROGRAM, 'kernel', PEER]
  return new Lab({
    link: ours ? 'tap' : 'veth',
    pin: '',
    mtu: 1500,
    command: [...node, ...command],
    address: !ours,
    client: CLIENT,
  })
}

/** The client of a test; null: this side does not have it. */
function clientOf(test: NodeTest, kernel: boolean, seconds: number): string[] | null {
  const [what, how] = test.split('.')
  if (what === 'send' || what === 'recv') {
    if (kernel && how !== 'net') return null
    const ports = what === 'send' ? PORTS.sink : PORTS.source
    const port = ports[how as keyof typeof ports]
    return [CLIENT, what, PEER, `${port}`, `${seconds}`, '--omit', '0.5', '--cc', 'cubic']
  }
  const bulk = how === 'bulk'
  const wrk = ['wrk', '-t1', `-c${bulk ? LOADING : REQUESTING}`, `-d${seconds}s`]
  if (how === 'close') wrk.push('-H', 'Connection: close')
  return [...wrk, `${what}://${PEER}/${bulk ? 'bulk' : ''}`]
}

async function once(lab: Lab, test: NodeTest, kernel: boolean, seconds: number): Promise<Omit<Sample, 'peer' | 'run'> | null> {
  const command = clientOf(test, kernel, seconds)
  if (command === null) return null
  const r = await lab.client(command)
  if (command[0] === CLIENT) {
    const line = parseLine(r.stdout)
    return line === null ? { test, ok: false, error: (r.stdout + r.stderr).slice(-300) } : { ok: true, ...line, test }
  }
  const said = parseWrk(r.stdout)
  if (said === null || said.errors > 0) return { test, ok: false, error: (r.stdout + r.stderr).slice(-300) }
  return { test, ok: true, per_s: said.perSecond, mbit_s: (said.perSecond * BULK_BYTES * 8) / 1e6 }
}

/**
 * Measures all that is wanted. V8 takes seconds to compile what a server needs: every test is run once before it counts. Each has processes of its
 * own, as those in memory: how V8 collects depends on all that a process did before.
 */
export async function measureNode(options: Options, put: (s: Sample) => void): Promise<void> {
  const seconds = options.quick ? 1 : 4
  const warm = options.quick ? 1 : 3
  const sides: Side[] = [
    { name: 'ours', lab: labOf('ours', options) },
    { name: 'kernel', lab: labOf('kernel', options) },
  ]
  try {
    for (const { lab } of sides) lab.up()
    for (const test of NODE_TESTS) {
      for (const { lab } of sides) await lab.start()
      for (const { name, lab } of sides) await once(lab, test, name === 'kernel', warm)
      for (let run = 0; run < options.runs; run++) {
        for (const { name, lab } of sides) {
          const sample = await once(lab, test, name === 'kernel', seconds)
          if (sample !== null) put({ ...sample, peer: name, run } as Sample)
        }
      }
      for (const { lab } of sides) await lab.stop()
    }
  } finally {
    for (const { lab } of sides) await lab.down()
  }
}

/** Why the Node half cannot be measured here though a tap can, or null. */
export function cannotLoad(): string | null {
  return spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error === undefined ? null : 'needs wrk, which is not installed'
}
