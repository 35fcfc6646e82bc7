/** Congestion control by name. An algorithm is one file and one line here. */
import type { TcpConfig } from '../base/config.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { TellList } from '../base/tell.ts'
import { Bbr } from './bbr.ts'
import type { CongestionChoice, CongestionControl } from './congestion.ts'
import { checkControl, madeBy } from './control-maker.ts'
import { Cubic } from './cubic.ts'
import { Dctcp } from './dctcp.ts'
import { ForeignControl } from './foreign-control.ts'
import { NewReno } from './newreno.ts'

const ALGORITHMS: Readonly<Record<string, (config: TcpConfig, random: Random) => CongestionControl>> = {
  bbr: (_config, random) => new Bbr(random),
  cubic: (config) => new Cubic(config.hystart, config.abcLimit),
  dctcp: (config) => new Dctcp(config.abcLimit),
  newreno: (config) => new NewReno(config.abcLimit),
  reno: (config) => new NewReno(config.abcLimit), // Linux's name for it
}
/** The same; every connection asks. */
const BY_NAME = new Map(Object.entries(ALGORITHMS))

/** Throws ERR_INVALID_ARG_VALUE for what cannot be an algorithm, before a connection relies on it. A function is taken at its word until then. */
export function checkCongestion(choice: unknown): void {
  if (typeof choice === 'string') named(choice)
  else if (typeof choice !== 'function') checkControl(choice, 'congestion')
}

/** The algorithm object for one connection. Throws ERR_INVALID_ARG_VALUE. What one that is not ours throws later goes to `list`. */
export function congestionControl(
  choice: CongestionChoice,
  config: TcpConfig,
  random: Random,
  list: TellList,
): CongestionControl {
  if (typeof choice === 'string') return named(choice)(config, random)
  const control = typeof choice === 'function' ? madeBy(choice) : checkControl(choice, 'congestion')
  return new ForeignControl(control, list, config.abcLimit)
}

function named(name: string): (config: TcpConfig, random: Random) => CongestionControl {
  const make = BY_NAME.get(name)
  if (make !== undefined) return make
  throw invalidArgument(`unknown congestion control ${name}, known: ${Object.keys(ALGORITHMS).join(', ')}`)
}
