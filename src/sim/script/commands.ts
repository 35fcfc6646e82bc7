/**
 * What commands in backticks mean to a stack that runs in this process.
 *
 * There is no shell: a command is split into words as a shell would (quotes, `$((1024*1024))`, `\` at the end of a line, `;` and `&&`,
 * redirections, comments), and the first word is looked up in a table of programs, each of which turns its arguments into plain effects
 * (`ast.ts`). `sysctls-linux.ts` and `sysctls-freebsd.ts` are the tables of kernel variables. A program, an argument or a variable that
 * no table has is `Unsupported`: the script is skipped, for it would be played under conditions other than it asked for. What is
 * known and cannot matter here is an explicit line with no effect.
 */
import type { Effect } from './ast.ts'
import { Unsupported } from './problem.ts'
import { splitCommands } from './shell.ts'
import { sysctl } from './sysctl.ts'

/** The text of a file named in a command, or null. */
export type Includes = (path: string) => string | null

/** Files in files: a script that runs itself ends here. */
const MAX_DEPTH = 8

/** Throws Unsupported. */
export function effectsOf(text: string, includes: Includes = () => null, depth = 0): Effect[] {
  return splitCommands(text).flatMap((stages) => pipeline(stages, includes, depth))
}

type Program = (args: string[], line: string, includes: Includes, depth: number) => Effect[]

function pipeline(stages: string[][], includes: Includes, depth: number): Effect[] {
  const line = stages.map((words) => words.join(' ')).join(' | ')
  const [name, ...args] = stages[0]
  if (stages.length > 1) return question(stages, line)
  const program = PROGRAMS[name.replace(/^.*\//, '')]
  if (program !== undefined) return program(args, line, includes, depth)
  if (/\.(?:sh|py)$/.test(name)) return file(name, includes, depth)
  throw new Unsupported(`command: ${line}`)
}

const nothing: Program = () => []

const PROGRAMS: { readonly [name: string]: Program } = {
  sysctl: (args) => args.filter((a) => !/^-[a-zA-Z]+$/.test(a)).flatMap(assignment),
  'set_sysctls.py': (args) =>
    args.flatMap((a) => assignment(a.replace(/^\/proc\/sys\/([^=]*)/, (_, path: string) => path.replaceAll('/', '.')))),
  ip,
  tc,
  ifconfig,
  echo,
  sleep: (args, line) => {
    const seconds = Number(args[0])
    if (!(seconds >= 0)) throw new Unsupported(`command: ${line}`)
    return [{ kind: 'sleep', us: Math.round(seconds * 1e6) }]
  },
  usleep: (args) => [{ kind: 'sleep', us: Number(args[0]) }],
  source: (args, _, includes, depth) => file(args[0] ?? '', includes, depth),
  '.': (args, _, includes, depth) => file(args[0] ?? '', includes, depth),
  bash: (args, line, includes, depth) => shell(args, line, includes, depth),
  sh: (args, line, includes, depth) => shell(args, line, includes, depth),
  grep: (args, line) => grep(args, line),
  // Of the machine that packetdrill ran on; none of it is here.
  ethtool: nothing,
  nstat: () => [{ kind: 'counters-marked' }],
  setkey: (args, line) => {
    if (args.length !== 1 || args[0] !== '-F') throw new Unsupported(`command: ${line}`)
    return [{ kind: 'md5-keys-flushed' }]
  },
  tcpdrop: (args, line) => {
    if (args.join(' ') !== '-s TIME_WAIT') throw new Unsupported(`command: ${line}`)
    return [{ kind: 'forget-time-wait' }]
  },
  rm: (args, line) => {
    if (args[0] !== '-f' || args.length !== 2 || !args[1].startsWith('/tmp/')) throw new Unsupported(`command: ${line}`)
    return [{ kind: 'file', path: args[1], bytes: null }]
  },
  dd,
  modprobe: nothing,
  kldstat: nothing,
  kldload: nothing,
  kldunload: nothing,
  true: nothing,
  ':': nothing,
  sync: nothing,
  cat: nothing,
  dmesg: nothing,
  tcpdump: nothing,
  arp: nothing,
  // Looked at by a person, after the script.
  ss: nothing,
  netstat: nothing,
  sockstat: nothing,
}

function assignment(text: string): Effect[] {
  const equals = text.indexOf('=')
  // Without a value it is only shown.
  return equals < 0 ? [] : sysctl(text.slice(0, equals), text.slice(equals + 1))
}

function shell(args: string[], line: string, includes: Includes, depth: number): Effect[] {
  if (args[0] === '-c' && args.length === 2) return effectsOf(args[1], includes, depth + 1)
  if (args.length !== 1 || args[0].startsWith('-')) throw new Unsupported(`command: ${line}`)
  return file(args[0], includes, depth)
}

/** A file of commands: the caller's if there is one, else what is known by name. */
function file(path: string, includes: Includes, depth: number): Effect[] {
  // packetdrill's helpers write it, to put back what they changed in a kernel. Here every script has a stack of its own.
  if (/(?:^|\/)sysctl_restore/.test(path)) return []
  const text = includes(path)
  if (text !== null) {
    if (depth >= MAX_DEPTH) throw new Unsupported(`command: ${path} runs itself`)
    return effectsOf(text, includes, depth + 1)
  }
  if (/(?:^|\/)defaults\.sh$/.test(path)) return effectsOf(LINUX_DEFAULTS)
  throw new Unsupported(`command: ${path}`)
}

/** What google's and Linux's `defaults.sh` ask for, said in our words. */
const LINUX_DEFAULTS = `ip tcp_metrics flush all
sysctl net.ipv4.tcp_rmem="4096 540000 15728640" net.ipv4.tcp_wmem="4096 262144 4194304"
sysctl net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 net.ipv4.tcp_dsack=1 net.ipv4.tcp_ecn=0
sysctl net.ipv4.tcp_syn_retries=5 net.ipv4.tcp_synack_retries=5 net.ipv4.tcp_syncookies=1
sysctl net.ipv4.tcp_frto=2 net.ipv4.tcp_reordering=3 net.ipv4.tcp_early_retrans=4 net.ipv4.tcp_recovery=1
sysctl net.ipv4.tcp_congestion_control=cubic net.ipv4.tcp_slow_start_after_idle=0
sysctl net.ipv4.tcp_notsent_lowat=4294967295 net.ipv4.tcp_fastopen=0x70403
sysctl net.ipv4.tcp_fastopen_key=a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4
tc qdisc add dev tun0 root pfifo`

/** Pipes: questions that the runner can answer, and the way FreeBSD is told keys. */
function question(stages: string[][], line: string): Effect[] {
  const [first, ...rest] = stages
  if (first[0] === 'echo' && rest.length === 1 && rest[0].join(' ') === 'setkey -c') return keys(first.slice(1).join(' '), line)
  if (rest.some((words) => words[0] !== 'grep')) throw new Unsupported(`command: ${line}`)
  const patterns = rest.map((words) => words.slice(1).filter((w) => !/^-[a-z]+$/.test(w))[0] ?? '')
  if (first[0] === 'nstat') {
    const counter = /^(?:Tcp(?:Ext)?|Ip(?:Ext)?|Icmp)?([A-Za-z0-9]+)$/.exec(patterns[0])
    const by = patterns.length === 2 ? /^\s*(\d+)\s*$/.exec(patterns[1]) : null
    if (counter !== null && (patterns.length === 1 || by !== null)) {
      return [{ kind: 'counter-moved', name: counter[1], by: by === null ? null : Number(by[1]) }]
    }
  }
  // The last grep's exit code is the answer: of the count of a state, or of whether there is one.
  if (first[0] === 'sockstat') {
    const state = patterns.map((p) => SOCKSTAT_STATES[p]).find((s) => s !== undefined)
    const last = patterns.at(-1) ?? ''
    if (state !== undefined && /^\^?\d+\$?$/.test(last)) {
      return [{ kind: 'count-sockets', state, expected: Number(last.replace(/\D/g, '')) }]
    }
    if (state !== undefined && SOCKSTAT_STATES[last] !== undefined) return [{ kind: 'count-sockets', state, expected: null }]
  }
  if (first[0] === 'grep') return grep(first.slice(1), line)
  throw new Unsupported(`command: ${line}`)
}

/** As FreeBSD's sockstat writes them. */
const SOCKSTAT_STATES: { readonly [name: string]: string } = {
  CLOSED: 'CLOSED',
  LISTEN: 'LISTEN',
  SYN_SENT: 'SYN-SENT',
  SYN_RECEIVED: 'SYN-RECEIVED',
  SYN_RCVD: 'SYN-RECEIVED',
  ESTABLISHED: 'ESTABLISHED',
  CLOSE_WAIT: 'CLOSE-WAIT',
  FIN_WAIT_1: 'FIN-WAIT-1',
  FIN_WAIT_2: 'FIN-WAIT-2',
  CLOSING: 'CLOSING',
  LAST_ACK: 'LAST-ACK',
  TIME_WAIT: 'TIME-WAIT',
}

/** `add source destination tcp 0x1000 -A tcp-md5 "secret" ;`, several of them. */
function keys(text: string, line: string): Effect[] {
  const out: Effect[] = []
  for (const entry of text.split(';')) {
    if (entry.trim() === '') continue
    const found = /^\s*add\s+([\d.:a-f]+)\s+([\d.:a-f]+)\s+tcp\s+\S+\s+-A\s+tcp-md5\s+"?([^"]*?)"?\s*$/i.exec(entry)
    if (found === null) throw new Unsupported(`command: ${line}`)
    out.push({ kind: 'md5-key', source: found[1], destination: found[2], key: found[3] })
  }
  return out
}

/** States as /proc/net/tcp writes them: Linux include/net/tcp_states.h. */
const PROC_STATES: readonly string[] = [
  '',
  'ESTABLISHED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'TIME-WAIT',
  'CLOSED',
  'CLOSE-WAIT',
  'LAST-ACK',
  'LISTEN',
  'CLOSING',
  'SYN-RECEIVED',
]

/** `grep " 0A " /proc/net/tcp`: is there a socket in that state? */
function grep(args: string[], line: string): Effect[] {
  const words = args.filter((w) => !/^-[a-z]+$/.test(w))
  const state = /^ ([0-9A-Fa-f]{2}) $/.exec(words[0] ?? '')
  const name = state === null ? undefined : PROC_STATES[Number.parseInt(state[1], 16)]
  if (name === undefined || name === '' || !words.slice(1).every((w) => /^\/proc\/net\/tcp6?$/.test(w))) {
    throw new Unsupported(`command: ${line}`)
  }
  return [{ kind: 'count-sockets', state: name, expected: null }]
}

function ip(args: string[], line: string): Effect[] {
  const words = args.filter((w) => !/^-(?:4|6|family|inet6?|force)$/.test(w))
  const [object, verb, ...rest] = words
  if (/^tcp_?m(?:etrics)?$/.test(object ?? '')) {
    return /^(?:flush|del(?:ete)?)$/.test(verb ?? '') ? [{ kind: 'flush-metrics' }] : []
  }
  if (/^(?:l|link)$/.test(object ?? '') && verb === 'set') return link(rest, line)
  if (/^(?:r|ro|route)$/.test(object ?? '') && /^(?:add|change|chg|replace|append|prepend)$/.test(verb ?? ''))
    return route(rest, line)
  if (/^(?:r|ro|route)$/.test(object ?? '') && (verb === 'flush' || verb === 'show' || verb === 'get')) return []
  if (/^(?:n|neigh|neighbour)$/.test(object ?? '')) return []
  throw new Unsupported(`command: ${line}`)
}

function link(words: string[], line: string): Effect[] {
  const out: Effect[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]
    if (word === 'up' || word === 'down') out.push({ kind: 'link-state', up: word === 'up' })
    else if (word === 'mtu') out.push({ kind: 'link-mtu', mtu: count(words[++i], line) })
    else if (/^(?:dev|txqueuelen|qlen|gso_max_size|gso_max_segs|gro_max_size)$/.test(word)) i++
    else if (!/^(?:tun|tap|eth|lo)/.test(word)) throw new Unsupported(`command: ${line}`)
  }
  return out
}

function route(words: string[], line: string): Effect[] {
  const out: Effect & { kind: 'route' } = {
    kind: 'route',
    family: null,
    mtu: null,
    mtuLocked: false,
    advertisedMss: null,
    initialWindowSegments: null,
    congestion: null,
    rtoMinMs: null,
  }
  for (let i = 0; i < words.length; i++) {
    switch (words[i]) {
      case 'mtu':
        if (words[i + 1] === 'lock') {
          out.mtuLocked = true
          i++
        }
        out.mtu = count(words[++i], line)
        break
      case 'advmss':
        out.advertisedMss = count(words[++i], line)
        break
      case 'initcwnd':
        out.initialWindowSegments = count(words[++i], line)
        break
      case 'congctl':
        if (words[i + 1] === 'lock') i++
        out.congestion = congestion(words[++i] ?? '')
        break
      case 'rto_min':
        if (words[i + 1] === 'lock') i++
        out.rtoMinMs = milliseconds(words[++i] ?? '', line)
        break
      // Where to, by whom: there is one way.
      case 'via':
        out.family = familyOf(words[++i] ?? '') ?? out.family
        break
      case 'dev':
      case 'src':
      case 'proto':
      case 'metric':
      case 'scope':
      case 'table':
      case 'initrwnd':
        i++
        break
      case 'onlink':
        break
      default:
        out.family = familyOf(words[i]) ?? out.family
        if (i > 0 && !/^[\d.:/a-f]+$/i.test(words[i])) throw new Unsupported(`command: ${line}`)
    }
  }
  return [out]
}

/** Of an address or prefix; null: it is none (`default`). */
function familyOf(word: string): 4 | 6 | null {
  return /^[\da-f:.]*:[\da-f:.]*(?:\/\d+)?$/i.test(word) ? 6 : /^\d+\.[\d.]+(?:\/\d+)?$/.test(word) ? 4 : null
}

/** Times of `ip route`: `5ms`, `1s`, `20` (milliseconds). */
function milliseconds(word: string, line: string): number {
  const parts = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(word)
  if (parts === null) throw new Unsupported(`command: ${line}`)
  return Math.round(Number(parts[1]) * (parts[2] === 's' ? 1000 : 1))
}

function count(word: string | undefined, line: string): number {
  const n = Number(word)
  if (!Number.isInteger(n) || n < 0) throw new Unsupported(`command: ${line}`)
  return n
}

/** A kernel's name of an algorithm as ours. */
function congestion(name: string): string {
  const found = sysctl('net.ipv4.tcp_congestion_control', name)[0]
  return found?.kind === 'config' ? String(found.values.congestion) : name
}

/** Queueing disciplines: fq is what paces in Linux; a queue of packets does nothing to a link without a rate. */
function tc(args: string[], line: string): Effect[] {
  const [object, verb, ...rest] = args
  if (object !== 'qdisc' || verb === undefined) throw new Unsupported(`command: ${line}`)
  if (verb === 'show' || verb === 'del' || verb === 'delete') return []
  const full = rest.some((w, i) => w === 'limit' && Number(rest[i + 1]) === 0)
  const kind = rest.find((w) => /^(?:pfifo|pfifo_fast|bfifo|noqueue|fq_codel|mq|fq)$/.test(w))
  if (kind === undefined) throw new Unsupported(`command: ${line}`)
  return [...sysctl('net.core.default_qdisc', kind), { kind: 'link-queue', full }]
}

/** A file of zeros. */
function dd(args: string[], line: string): Effect[] {
  const given = new Map(args.map((a) => a.split('=', 2) as [string, string]))
  const path = given.get('of')
  const bytes = Number(given.get('bs') ?? 512) * Number(given.get('count'))
  if (path === undefined || given.get('if') !== '/dev/zero' || !Number.isInteger(bytes)) throw new Unsupported(`command: ${line}`)
  return [{ kind: 'file', path, bytes }]
}

function ifconfig(args: string[], line: string): Effect[] {
  return link(args, line)
}

/** `echo value > /proc/sys/net/...`, and a module's parameters. The shell keeps redirections to such files as two words. */
function echo(args: string[], line: string): Effect[] {
  const to = args.indexOf('>')
  if (to < 0) return []
  const value = args.slice(0, to).join(' ')
  const path = args[to + 1] ?? ''
  if (path.startsWith('/proc/sys/')) return sysctl(path.slice('/proc/sys/'.length).replaceAll('/', '.'), value)
  const parameter = /^\/sys\/module\/(\w+)\/parameters\/(\w+)$/.exec(path)
  if (parameter !== null) return sysctl(`module.${parameter[1]}.${parameter[2]}`, value)
  throw new Unsupported(`command: ${line}`)
}
