/**
 * Plays a script that was parsed: a stack of its own on virtual time, a link whose other end is the script, and a verdict.
 *
 *   run(parse(text), { profile: 'linux' })   // { result: 'passed' }
 */
import type { ConfigOverrides } from '../../base/config.ts'
import { NetError } from '../../base/errors.ts'
import { SeededRandom } from '../../base/random.ts'
import { Stack } from '../../stack/stack.ts'
import { VirtualHost } from '../virtual-host.ts'
import type { Outcome, Script } from './ast.ts'
import { beginning, Surroundings } from './effects.ts'
import { ScriptLink } from './link.ts'
import { Player } from './player.ts'
import { PROFILES, type Profile, type ProfileName } from './profiles.ts'
import { readSettings } from './settings.ts'
import { Stop, skip } from './stop.ts'

export interface RunOptions {
  /** Whose stack the script was written for. `linux` when left out. */
  profile?: ProfileName | Profile
  /** Over the profile's; the script's own commands are over both. */
  config?: ConfigOverrides
  /** 1 when left out; ports, initial sequence numbers and time of the host follow from it. */
  seed?: number
  /** Hears of each event when its turn comes. */
  watch?: (line: string) => void
}

/** Where the clock of the stack begins. */
const START_MS = 10_000
/** Room for the largest packet of a script. */
const LINK_MTU = 65535

/** Plays the script to its end or to the first thing that is not as it says. Does not throw. */
export function run(script: Script, options: RunOptions = {}): Outcome {
  try {
    play(script, options)
    return { result: 'passed' }
  } catch (stop) {
    if (!(stop instanceof Stop)) throw stop
    const outcome: Outcome = { result: stop.result, reason: `${script.file}: ${stop.reason}` }
    if (stop.diff !== '') outcome.diff = stop.diff
    return outcome
  }
}

function play(script: Script, options: RunOptions): void {
  const profile = typeof options.profile === 'object' ? options.profile : PROFILES[options.profile ?? 'linux']
  const settings = readSettings(script.options, profile)
  const host = new VirtualHost({ startMs: START_MS, seed: options.seed ?? 1 })
  const begin = beginning(
    merged(profile.config, options.config ?? {}),
    script.init.flatMap((c) => c.effects),
  )
  const stack = orSkip(() => new Stack({ host, random: new SeededRandom((options.seed ?? 1) + 1000) }, begin.config))
  const link = new ScriptLink(host, LINK_MTU)
  const iface = orSkip(() =>
    stack.attach(link, {
      name: 'tun0',
      mtu: settings.mtu,
      addresses: [`${settings.localAddress}/${settings.prefixLength}`],
      gateway: settings.gatewayAddress.toString(),
      probe: false,
    }),
  )
  host.run(0)
  const player: Player = new Player(stack, host, link, settings, profile, () => surroundings)
  const surroundings = new Surroundings(
    stack,
    iface,
    link,
    player.disk,
    settings.ipVersion === 'ipv6' ? 6 : 4,
    (us) => player.sleep(us),
    (ms) => player.limitConnects(ms),
    () => skip('keys that a command sets are not played'),
  )
  surroundings.apply(begin.rest)
  player.play(script.events, options.watch)
  for (const c of script.cleanup) surroundings.apply(c.effects)
}

/** What a script asks for may be nothing that this stack can be. */
function orSkip<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof NetError) skip(error.message)
    throw error
  }
}

function merged(a: ConfigOverrides, b: ConfigOverrides): ConfigOverrides {
  const out: { [section: string]: unknown } = { ...a }
  for (const [section, values] of Object.entries(b)) {
    const old = out[section]
    out[section] = typeof values === 'object' && typeof old === 'object' ? { ...old, ...values } : values
  }
  return out as ConfigOverrides
}
