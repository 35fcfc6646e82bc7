/** Congestion control by name. An algorithm is one file and one line here. */
import { invalidArgument } from '../base/errors.ts'
import type { CongestionControl } from './congestion.ts'
import { NewReno } from './newreno.ts'

const ALGORITHMS: Record<string, () => CongestionControl> = {
  newreno: () => new NewReno(),
}

/** A new algorithm object for one connection; ERR_INVALID_ARG_VALUE for a name that does not exist. */
export function congestionControl(name: string): CongestionControl {
  const make = ALGORITHMS[name]
  if (make === undefined) {
    throw invalidArgument(`unknown congestion control ${name}, known: ${Object.keys(ALGORITHMS).join(', ')}`)
  }
  return make()
}
