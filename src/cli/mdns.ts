/** `tapstack browse` and `tapstack publish`: services of the link (DNS-SD over multicast DNS), as avahi-browse(1) and avahi-publish(1) show and make them. */

import { canonicalName } from '../dns/names.ts'
import type { ServiceInfo } from '../mdns/instance.ts'
import { isOfLink } from '../mdns/names.ts'
import type { Stack } from '../stack/stack.ts'
import { type Command, integer, seconds, text, texts, UsageError } from './command.ts'
import { NETWORK_OPTIONS, openNetwork, stopped } from './network.ts'

/** A name of the link is asked for there. */
export function askLinkFor(stack: Stack, name: string): void {
  if (isOfLink(canonicalName(name) ?? '')) stack.mdns.listen()
}

export const browse: Command = {
  name: 'browse',
  summary: 'list the services of a type on the link, or the types that there are',
  usage: '[options] [TYPE]',
  about: [
    'One line for each service that comes (+), changes (=) and goes (-). Without TYPE the types of service, one a line.',
    'Exit code: 0 something was found, 1 nothing, 2 it could not be done.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    subtype: { type: 'string', value: '_SUB', text: 'only those of a narrower kind' },
    time: { type: 'string', short: 't', value: 'SECONDS', text: 'how long to listen (2); 0: until Ctrl-C' },
  },
  words: 1,
  examples: [
    ['browse', 'which types of service there are'],
    ['browse _http._tcp', 'web servers on the link of tap0'],
    ['browse -t 0 _ipp._tcp --subtype _universal', 'printers of that kind, as they come and go'],
  ],
  failure: 2,
  async run(context, values, [type]) {
    const ms = seconds(values, 'time', 0, 1e6, 2000)
    if (type === undefined && ms === 0) throw new UsageError('--time 0 needs a type: tapstack browse -t 0 _http._tcp')
    const network = await openNetwork(context, values)
    try {
      const { mdns, host } = network.stack
      if (type === undefined) {
        const types = await Promise.race([mdns.types(ms), network.broken, stopped(context)])
        for (const one of types ?? []) context.out(one)
        return types === undefined || types.length === 0 ? 1 : 0
      }
      const browser = mdns.browse(type, { subtype: text(values, 'subtype') })
      let found = false
      browser.onEvent = ({ kind, service }) => {
        found = true
        context.out(`${{ up: '+', changed: '=', down: '-' }[kind]} ${serviceLine(service)}`)
      }
      const over = new Promise<void>((resolve) => {
        if (ms > 0) host.after(ms, { run: resolve })
      })
      await Promise.race([over, network.broken, stopped(context)])
      return found ? 0 : 1
    } finally {
      await network.close()
    }
  },
}

/** `My web _http._tcp web.local:80 10.0.0.2 path=/ flag` */
function serviceLine({ name, type, host, port, addresses, txt }: ServiceInfo): string {
  const said = Object.entries(txt).map(([key, value]) => (value === true ? key : `${key}=${value}`))
  // What others chose must not steer a terminal.
  return [name, type, `${host}:${port}`, ...addresses, ...said].join(' ').replace(/\p{Cc}/gu, '?')
}

function txtOf(pairs: readonly string[]): Record<string, string | true> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      return at < 0 ? [pair, true] : [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

export const publish: Command = {
  name: 'publish',
  summary: 'publish a service on the link, or only the name of this host',
  usage: '[options] [NAME TYPE PORT [KEY=VALUE...]]',
  about: [
    'Prints the names as they are published (another host may have had the one that was asked for) and stays until Ctrl-C.',
    'Exit code: 0, or 2 when it could not be done.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    host: { type: 'string', value: 'NAME', text: 'name of this host, without .local (tapstack)' },
    subtype: { type: 'string', multiple: true, value: '_SUB', text: 'a narrower kind of the type, repeatable' },
  },
  words: 35,
  examples: [
    ['publish --host lab', 'lab.local is us: on the host, ping lab.local (with nss-mdns)'],
    ['publish Web _http._tcp 80 path=/', 'a web server: on the host, avahi-browse -r _http._tcp'],
  ],
  failure: 2,
  async run(context, values, words) {
    const [name, type, port, ...pairs] = words
    if (words.length > 0 && port === undefined) throw new UsageError('NAME, TYPE and PORT are expected, or none of them')
    const number = integer({ PORT: port }, 'PORT', 0, 65535, 0)
    const network = await openNetwork(context, values)
    try {
      const { mdns } = network.stack
      const host = mdns.start(text(values, 'host'))
      const service =
        name === undefined
          ? null
          : mdns.publish({ name, type, port: number, txt: txtOf(pairs), subtypes: texts(values, 'subtype') })
      const said = host.then(async (hostname) => {
        context.out(`host ${hostname}`)
        mdns.onRename = (other) => context.out(`host ${other}`)
        if (service === null) return
        context.out(`service ${await service.ready}`)
        service.onRename = (other) => context.out(`service ${other}`)
      })
      said.catch(() => undefined) // the end may come first
      await Promise.race([said.then(() => stopped(context)), network.broken, stopped(context)])
      return 0
    } finally {
      await network.close()
    }
  },
}
