/**
 * `npm start`: the best of three ways to show the stack, and which one it is.
 *
 *   tap        examples/tcp_echo.ts on tap0 of this machine, until Ctrl-C: ping and nc from any terminal. Needs the right to open a tap.
 *   namespace  the same in a user and network namespace of its own, with ping and an echo, then the end. Needs unshare(1).
 *   memory     two stacks in this process over a pipe, each frame in one line. Always possible.
 *
 * TAPSTACK_START=tap|namespace|memory forces one. For the second way this file runs itself again inside the namespace, told so by
 * TAPSTACK_START=inside; EX_TEMPFAIL as its exit code then says that there is no tap in there either.
 */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { userInfo } from 'node:os'
import { openLink } from '../backend/open-link.ts'
import { TUN_DEVICE } from '../backend/tuntap-wire.ts'
import { DEFAULT_LINK } from './network.ts'
import { print } from './print.ts'
import { showInMemory } from './start-memory.ts'
import { showInNamespace } from './start-namespace.ts'

const EX_TEMPFAIL = 75
/** The right is missing. What is neither this nor one of NO_TAP is worth telling instead of working around. */
const NO_RIGHT = ['EPERM', 'EACCES']
/** There are no taps here, and a namespace would not help. */
const NO_TAP = ['ENOENT', 'ENODEV', 'ENXIO', 'ERR_UNSUPPORTED_PLATFORM', 'ERR_KOFFI_UNAVAILABLE']

const say = (line = ''): void => print(line)

/** Null when a tap can be opened here, else why not. */
async function tapProblem(): Promise<{ code: string; message: string } | null> {
  try {
    const link = await openLink(DEFAULT_LINK)
    await link.close()
    return null
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { code: code ?? '', message }
  }
}

/** Null when a namespace can be made and a tap opened in it, else why not. */
function namespaceProblem(): string | null {
  if (process.platform !== 'linux') return `${process.platform} has no network namespaces`
  const inside = (script: string): ReturnType<typeof spawnSync> =>
    spawnSync('unshare', ['-Urn', 'sh', '-c', script], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  const made = inside('true')
  if (made.error !== undefined) return 'unshare (of util-linux) is not installed'
  if (made.status !== 0)
    return String(made.stderr).trim().split('\n')[0] || `unshare -Urn ended with ${made.status ?? made.signal}`
  if (inside('exec 3<>/dev/net/tun').status !== 0) return 'in one, /dev/net/tun cannot be opened either'
  return null
}

/** A tap of one's own is of no use to who may not open the device. */
function deviceIsClosed(): boolean {
  try {
    accessSync(TUN_DEVICE, constants.R_OK | constants.W_OK)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES'
  }
}

/** What to do for the first way. */
function betterWay(): string[] {
  if (process.platform !== 'linux')
    return ['A tap, which other programs of the machine can talk to, needs Linux (or WSL 2, or a container).']
  const what = 'To have it on a tap of this machine, where it stays and other terminals reach it'
  if (process.getuid?.() === 0)
    return [`${what}: run it as root of the machine; in a container, with --device /dev/net/tun --cap-add NET_ADMIN`]
  const { username } = userInfo()
  const open = deviceIsClosed() ? `chmod 666 ${TUN_DEVICE} && ` : ''
  return [
    `${what}: sudo npm start; or once`,
    `  sudo sh -c '${open}ip tuntap add dev tap0 mode tap user ${username} && ip addr add 10.0.0.1/24 dev tap0 && ip link set tap0 up'`,
    'and then npm start',
  ]
}

async function onTap(): Promise<void> {
  say('npm start, way 1 of 3: TCP echo on tap0 of this machine, because you may open a tap. It stays until Ctrl-C.')
  say('In another terminal: ping 10.0.0.2; nc 10.0.0.2 7')
  say()
  await import('../../examples/tcp_echo.ts')
}

/** Runs this file in a namespace. Returns its exit code. */
function again(): Promise<number> {
  const args = ['-Urn', process.execPath, ...process.execArgv, process.argv[1], ...process.argv.slice(2)]
  const child = spawn('unshare', args, { stdio: 'inherit', env: { ...process.env, TAPSTACK_START: 'inside' } })
  const ignore = (): void => undefined // Ctrl-C reaches the child as well; its end is ours
  const pass = (): void => void child.kill('SIGTERM')
  process.on('SIGINT', ignore)
  process.on('SIGTERM', pass)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => {
      process.off('SIGINT', ignore)
      process.off('SIGTERM', pass)
      resolve(code ?? 1)
    })
  })
}

/** Returns the exit code, or null when there is no tap in there after all. */
async function inNamespace(why: string): Promise<number | null> {
  say(`npm start, way 2 of 3: ping and a TCP echo in a network namespace of its own, because ${why}.`)
  for (const line of betterWay()) say(line)
  say()
  const code = await again()
  return code === EX_TEMPFAIL ? null : code
}

async function inMemory(reasons: readonly string[], advice = betterWay()): Promise<number> {
  say('npm start, way 3 of 3: two stacks in this process, joined by a pipe in memory, because')
  for (const reason of reasons) say(`  - ${reason}`)
  for (const line of advice) say(line)
  say()
  await showInMemory(say)
  return 0
}

function fail(message: string): number {
  process.stderr.write(`npm start: ${message.replace(/\s*\n\s*/g, ' ')}\n`)
  return 1
}

/** The best way that works. */
async function best(): Promise<number | undefined> {
  const problem = await tapProblem()
  if (problem === null) return onTap().then(() => undefined)
  if (NO_TAP.includes(problem.code)) return inMemory([problem.message], []) // it says what to do
  if (!NO_RIGHT.includes(problem.code)) return fail(problem.message)
  const noNamespace = namespaceProblem()
  const refused = `you may not open a tap here (${problem.code})`
  if (noNamespace !== null) return inMemory([refused, `a network namespace is no way out: ${noNamespace}`])
  const code = await inNamespace(refused)
  return code ?? inMemory([refused, 'in a network namespace of its own it was refused as well'])
}

async function start(way: string): Promise<number | undefined> {
  switch (way) {
    case '':
      return best()
    case 'tap': {
      const problem = await tapProblem()
      return problem === null ? onTap().then(() => undefined) : fail(problem.message)
    }
    case 'namespace': {
      const problem = namespaceProblem()
      if (problem !== null) return fail(`a network namespace is no way: ${problem}`)
      return (await inNamespace('TAPSTACK_START=namespace says so')) ?? fail('no tap can be opened in the namespace')
    }
    case 'inside': {
      const problem = await tapProblem()
      return problem === null ? showInNamespace(say) : EX_TEMPFAIL
    }
    case 'memory':
      return inMemory(['TAPSTACK_START=memory says so'])
    default:
      return fail(`TAPSTACK_START=${way}: tap, namespace or memory is expected`)
  }
}

const code = await start(process.env.TAPSTACK_START ?? '').catch((error: Error) => fail(error.message))
// Undefined: the example runs on, and its end is the process's.
if (code !== undefined) process.exitCode = code
