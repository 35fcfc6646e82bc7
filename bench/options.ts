/** The options of `npm run bench`. Pure, so that it can be tested. */

export const TAP_TESTS = ['send', 'recv', 'pingpong', 'connrate', 'ping', 'idle'] as const
export type TapTest = (typeof TAP_TESTS)[number]

export const MEMORY_TESTS = [
  'raw.bulk.super',
  'raw.bulk.mtu1500',
  'raw.pingpong',
  'raw.connect',
  'node.bulk.super',
  'node.bulk.mtu1500',
  'node.pingpong',
  'node.connect',
  'web.bulk.super',
  'web.bulk.byob',
  'web.bulk.mtu1500',
  'node.http',
  'kernel.http',
] as const

/** Of the Node half: requests kept alive, each on a connection of its own, bulk; bulk by shape of the socket. */
export const NODE_TESTS = [
  'http',
  'http.close',
  'http.bulk',
  'https',
  'https.bulk',
  'send.raw',
  'send.net',
  'send.web',
  'recv.raw',
  'recv.net',
  'recv.web',
] as const
export type NodeTest = (typeof NODE_TESTS)[number]

export const HALVES = ['memory', 'tap', 'node'] as const
export type Half = (typeof HALVES)[number]

export interface Options {
  help: boolean
  /** One short run of everything: a look, not a figure. */
  quick: boolean
  only: Half | null
  /** Repetitions of every test. */
  runs: number
  /** Where the results go. */
  json: string
  /** Tests of the tap part; an empty list leaves out nothing. */
  tests: TapTest[]
  /** Write the table of bench/figures.json into README.md and docs/performance.md, measure nothing. */
  readme: boolean
  /** Directory for CPU profiles of our processes, or null. */
  profile: string | null
}

export const USAGE = `usage: npm run bench -- [options]
  --quick            one short run of each test
  --only PART        one of memory, tap, node
  --tests LIST       of the tap half: ${TAP_TESTS.join(',')}
  --runs N           repetitions (default 5)
  --json FILE        where the results go (default bench/results.json)
  --profile DIR      also write CPU profiles of the stack's processes
  --readme           write the table of bench/figures.json into the documents
  --help`

/** Throws an Error with one line for what it does not understand. */
export function parseOptions(args: readonly string[]): Options {
  const options: Options = {
    help: false,
    quick: false,
    only: null,
    runs: 0,
    json: 'bench/results.json',
    tests: [],
    readme: false,
    profile: null,
  }
  for (let i = 0; i < args.length; i++) {
    const [name, inline] = splitOnce(args[i])
    const value = (): string => {
      const v = inline ?? args[++i]
      if (v === undefined || v === '') throw new Error(`${name} needs a value`)
      return v
    }
    switch (name) {
      case '--help':
      case '-h':
        options.help = true
        break
      case '--quick':
        options.quick = true
        break
      case '--readme':
        options.readme = true
        break
      case '--only':
        options.only = oneOf<Half>(name, value(), HALVES)
        break
      case '--runs':
        options.runs = runs(value())
        break
      case '--json':
        options.json = value()
        break
      case '--profile':
        options.profile = value()
        break
      case '--tests':
        options.tests = value()
          .split(',')
          .map((t) => oneOf(name, t, TAP_TESTS))
        break
      default:
        throw new Error(`unknown option ${args[i]}`)
    }
  }
  if (options.runs === 0) options.runs = options.quick ? 1 : 5
  return options
}

function splitOnce(arg: string): [string, string | undefined] {
  const at = arg.indexOf('=')
  return at < 0 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)]
}

function runs(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 1 || n > 100) throw new Error(`--runs ${text}: 1 to 100 expected`)
  return n
}

function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  if (!(allowed as readonly string[]).includes(text)) throw new Error(`${name} ${text}: one of ${allowed.join(', ')} expected`)
  return text as T
}
