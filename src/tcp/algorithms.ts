/** Congestion control by name. An algorithm is one file and one line here. */
import type { TcpConfig } from '../base/config.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { Bbr } from './bbr.ts'
import type { CongestionChoice, CongestionControl } from './congestion.ts'
import { isCongestionControl, madeBy } from './control-maker.ts'
import { Cubic } from './cubic.ts'
import { Dctcp } from './dctcp.ts'
import { NewReno } from './newreno.ts'

const ALGORITHMS: Record<string, (config: TcpConfig, random: Random) => CongestionControl> = {
  bbr: (_config, random) => new Bbr(random),
  cubic: (config) => new Cubic(config.hystart, config.abcLimit),
  dctcp: (config) => new Dctcp(config.abcLimit),
  newreno: (config) => new NewReno(config.abcLimit),
  reno: (config) => new NewReno(config.abcLimit), // Linux's name for it
}

/** What can be an algorithm: a name that is known, an object with the methods, or what makes one. */
export function isCongestionChoice(value: unknown): value is CongestionChoice {
  if (typeof value === 'string') return Object.hasOwn(ALGORITHMS, value)
  if (typeof value === 'function') return true
  return isCongestionControl(value)
}

/** The algorithm object for one connection; ERR_INVALID_ARG_VALUE for a name that does not exist. */
export function congestionControl(choice: CongestionChoice, config: TcpConfig, random: Random): CongestionControl {
  if (typeof choice === 'object') {
    if (!isCongestionControl(choice)) throw invalidArgument('tcp.congestion is no congestion control')
    return choice
  }
  if (typeof choice === 'function') return madeBy(choice)
  const make = Object.hasOwn(ALGORITHMS, choice) ? ALGORITHMS[choice] : undefined
  if (make === undefined) {
    throw invalidArgument(`unknown congestion control ${choice}, known: ${Object.keys(ALGORITHMS).join(', ')}`)
  }
  return make(config, random)
}
