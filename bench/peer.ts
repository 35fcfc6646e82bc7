/** The tap half: the load client against our stack on a tap and against the kernel over veth, in one run. */
import { HOST, Lab, type Link, PEER, type Pin, sleep } from './lab.ts'
import type { Options, TapTest } from './options.ts'
import { TAP_TESTS } from './options.ts'
import { parseLine, parsePing, type Sample } from './summary.ts'

const CLIENT = 'bench/tcpbench'
const MTU = 1500
const IDLE_CONNECTIONS = 2000

interface Candidate {
  name: string
  link: Link
  /** Our side's link URL; null: the kernel's own services. */
  url: string | null
  tests: readonly TapTest[]
}

const BULK: readonly TapTest[] = ['send', 'recv']

const CANDIDATES: readonly Candidate[] = [
  { name: 'ours', link: 'tap', url: `tap://tap0?host=${HOST}/24`, tests: TAP_TESTS },
  { name: 'kernel', link: 'veth', url: null, tests: TAP_TESTS },
  { name: 'ours, plain', link: 'tap', url: `tap://tap0?host=${HOST}/24&offload=off`, tests: BULK },
  { name: 'kernel, plain', link: 'veth-nooffload', url: null, tests: BULK },
]

/** Bulk runs unpinned; what measures latency runs with both ends on one core. */
const pinOf = (test: TapTest): Pin => (test === 'send' || test === 'recv' ? '' : 'same')

/** What a user runs: `tapstack inetd`, built. Its services (echo 7, discard 9, chargen 19) are written in the raw shape. */
function commandOf(url: string, options: Options): string[] {
  const node = [process.execPath]
  if (options.profile !== null) node.push('--cpu-prof', `--cpu-prof-dir=${options.profile}`)
  return [...node, 'bench/build/tapstack.js', 'inetd', '--quiet', '--link', url, '--address', `${PEER}/24`]
}

function clientOf(test: TapTest, ours: boolean, seconds: number): string[] {
  const sink = ours ? '9' : '5001'
  const source = ours ? '19' : '5002'
  const omit = seconds > 2 ? '1' : '0.5'
  switch (test) {
    case 'send':
      return [CLIENT, 'send', PEER, sink, `${seconds}`, '--omit', omit]
    case 'recv':
      return [CLIENT, 'recv', PEER, source, `${seconds}`, '--omit', omit]
    case 'pingpong':
      return [CLIENT, 'pingpong', PEER, '7', `${Math.min(seconds, 3)}`, '--omit', '0.3']
    case 'connrate':
      return [CLIENT, 'connrate', PEER, '7', `${Math.min(seconds, 3)}`]
    case 'idle':
      return [CLIENT, 'idle', PEER, '7', `${Math.min(seconds, 2)}`, '--count', `${IDLE_CONNECTIONS}`]
    case 'ping':
      return ['ping', '-c', '200', '-i', '0.002', PEER]
  }
}

async function once(lab: Lab, test: TapTest, ours: boolean, seconds: number): Promise<Omit<Sample, 'peer' | 'run'>> {
  const command = clientOf(test, ours, seconds)
  if (test !== 'ping') command.push('--cc', 'cubic', '--pid', `${lab.pid}`)
  const r = await lab.client(command)
  const line = test === 'ping' ? parsePing(r.stdout) : parseLine(r.stdout)
  if (line === null) return { test, ok: false, error: (r.stdout + r.stderr).slice(-300) }
  return { ok: true, ...line, test }
}

async function measure(c: Candidate, test: TapTest, options: Options, seconds: number, put: (s: Sample) => void): Promise<void> {
  const ours = c.url !== null
  const lab = new Lab({
    link: c.link,
    pin: pinOf(test),
    mtu: MTU,
    command: c.url === null ? null : commandOf(c.url, options),
    client: CLIENT,
  })
  const runs = test === 'idle' ? 1 : test === 'ping' ? Math.min(options.runs, 3) : options.runs
  try {
    lab.up()
    await lab.start()
    // Two hundred pings are over before V8 has compiled anything; the other tests leave out their beginning, too. A flood takes half a second.
    if (test === 'ping') await lab.client(['ping', '-q', '-f', '-c', '20000', PEER])
    for (let run = 0; run < runs; run++) {
      await sleep(200)
      put({ ...(await once(lab, test, ours, seconds)), peer: c.name, run } as Sample)
    }
  } finally {
    await lab.down()
  }
}

/** Measures all that is wanted. Ours and the kernel's runs of a test follow each other, so that both see the machine in the same mood. */
export async function measureTap(options: Options, put: (s: Sample) => void): Promise<void> {
  const wanted = options.tests.length > 0 ? options.tests : TAP_TESTS
  const seconds = options.quick ? 1.5 : 5
  for (const test of TAP_TESTS) {
    if (!wanted.includes(test)) continue
    for (const c of CANDIDATES) {
      if (!c.tests.includes(test)) continue
      try {
        await measure(c, test, options, seconds, put)
      } catch (error) {
        put({ peer: c.name, test, run: 0, ok: false, error: (error as Error).message })
      }
    }
  }
}
