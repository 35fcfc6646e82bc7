/** `tapstack tracepath`: as tracepath(8) of iputils with -n, from a stack of its own. */
import type { TracepathStep } from '../probe/tracepath.ts'
import { type Command, integer } from './command.ts'
import { cannotAsk, destinationOf, FAMILY_OPTIONS, hostOf } from './destination.ts'
import { NETWORK_OPTIONS, openNetwork } from './network.ts'

export const tracepath: Command = {
  name: 'tracepath',
  summary: 'show the routers on the way to a host, and how large a packet passes',
  usage: '[options] HOST',
  about: ['Path MTU discovery by UDP. Exit code: 0, or 1 when it could not be done.'],
  options: {
    ...NETWORK_OPTIONS,
    ...FAMILY_OPTIONS,
    link: { ...NETWORK_OPTIONS.link, short: undefined },
    length: { type: 'string', short: 'l', value: 'BYTES', text: 'length of the first datagram (as much as our link takes)' },
    'max-hops': { type: 'string', short: 'm', value: 'N', text: 'hops after which it is given up (30)' },
    port: { type: 'string', short: 'p', value: 'N', text: 'port of the first datagram (44444)' },
  },
  words: 1,
  examples: [
    ['tracepath 10.0.0.1', "the host's side of tap0"],
    ['tracepath -6 --link tap://tap0?host=fd00::1/64 -a fd00::2/64 fd00::1', 'over IPv6'],
  ],
  failure: 1,
  async run(context, values, words) {
    const { name } = destinationOf('tracepath', words, values)
    const maxHops = integer(values, 'max-hops', 1, 255, 30)
    const size = integer(values, 'length', 28, 65535, 65535)
    const port = integer(values, 'port', 1, 65535, 44_444)
    const network = await openNetwork(context, values)
    try {
      const { stack } = network
      const steps = stack.tracepath(await hostOf(stack, name, values), { maxHops, size, port, signal: context.stop })
      const show = async (): Promise<void> => {
        let last: TracepathStep | null = null
        for await (const step of steps) {
          last = step
          context.out(stepLine(step))
        }
        if (last === null) return
        if (last.reached) context.out(`     Resume: pmtu ${last.mtu} hops ${last.hop} back ${last.back ?? last.hop} `)
        else if (last.error === undefined || last.error === 'ETIMEDOUT') context.out(`     Too many hops: pmtu ${last.mtu}`)
        else context.out(`     Resume: pmtu ${last.mtu} `)
      }
      await Promise.race([show(), network.broken])
      return 0
    } catch (error) {
      if (context.stop.aborted) return 0
      throw cannotAsk(name, error)
    } finally {
      await network.close()
    }
  },
}

/** Width of the column of addresses. */
const COLUMN = 52

const MARKS: { readonly [code: string]: string } = { ENETUNREACH: '!N', EHOSTUNREACH: '!H', ENOPROTOOPT: '!P' }

/** ` 2:  10.1.0.1                  0.512ms pmtu 1400`. */
function stepLine(step: TracepathStep): string {
  const { hop, from, timeMs, mtu, mtuChanged, back, reached, error } = step
  if (hop === 0) return ` 1?: [LOCALHOST]                      pmtu ${mtu}`
  const place = `${String(hop).padStart(2)}:  `
  if (from === undefined) return `${place}no reply`
  let line = `${place}${from.padEnd(COLUMN)} ${timeMs!.toFixed(3)}ms `
  if (mtuChanged) line += `pmtu ${mtu} `
  if (error !== undefined) line += `${MARKS[error] ?? `!${error}`} `
  if (back !== undefined && back !== hop && !mtuChanged) line += `asymm ${String(back).padStart(2)} `
  if (reached) line += 'reached'
  return line.trimEnd()
}
