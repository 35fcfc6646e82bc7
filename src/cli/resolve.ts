/** `tapstack resolve`: records of a name, from a stack of its own. Its output is that of dig(1) with +short, its exit code that of host(1). */
import { parseAddress } from '../base/address.ts'
import type { Outcome } from '../dns/outcome.ts'
import { typeCode } from '../dns/records.ts'
import { reverseName } from '../dns/reverse.ts'
import { dataText } from '../dns/text.ts'
import { type Command, text, texts, UsageError } from './command.ts'
import { askLinkFor } from './mdns.ts'
import { NETWORK_OPTIONS, openNetwork, stopped } from './network.ts'

export const resolve: Command = {
  name: 'resolve',
  summary: 'ask DNS servers for the records of a name',
  usage: '[options] NAME',
  about: [
    'Addresses of both families when no --type is given; the name of an address when NAME is one. One record a line.',
    'Exit code: 0 there were records, 1 there were none or nobody answered, 2 it could not be done.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    type: { type: 'string', short: 't', value: 'TYPE', text: 'A, AAAA, MX, TXT, SRV, ANY, TYPE65, ... (A and AAAA)' },
    server: {
      type: 'string',
      short: 's',
      multiple: true,
      value: 'IP',
      text: 'server to ask, with :PORT if it is not 53, repeatable',
    },
  },
  words: 1,
  examples: [
    ['resolve -s 10.0.0.1 www.example.com', 'its addresses, by the server on the host'],
    ['resolve -s 10.0.0.1:5300 -t MX example.com', 'where its mail goes'],
    ['resolve -s 10.0.0.1 192.0.2.1', 'the name of an address'],
    ['resolve nas.local', 'by multicast DNS: the hosts on the link are asked'],
  ],
  failure: 2,
  async run(context, values, words) {
    const [name] = words
    if (name === undefined) throw new UsageError('a name is missing: tapstack resolve www.example.com')
    const address = parseAddress(name)
    const given = text(values, 'type')?.toUpperCase()
    const types = given !== undefined ? [given] : address !== null ? ['PTR'] : ['A', 'AAAA']
    if (typeCode(types[0]) === null) throw new UsageError(`--type ${types[0]}: A, AAAA, MX, TYPE65 or the like is expected`)
    const asked = address === null ? name : reverseName(address)
    const network = await openNetwork(context, values)
    try {
      const { resolver } = network.stack
      const servers = texts(values, 'server')
      if (servers.length > 0) resolver.setServers(servers)
      askLinkFor(network.stack, asked)
      const all = Promise.all(types.map((type) => resolver.resolve(asked, type)))
      const outcomes = await Promise.race([all, network.broken, stopped(context)])
      if (!outcomes) return 1
      for (const o of outcomes) for (const record of o.records) context.out(dataText(record))
      if (outcomes.some((o) => o.code === '')) return 0
      context.err(`tapstack resolve: ${reasonOf(name, outcomes)}`)
      return 1
    } finally {
      await network.close()
    }
  },
}

/** What matters most: that there is something wrong, then that there is no such record, then that there is no such name. */
function reasonOf(name: string, outcomes: readonly Outcome[]): string {
  const worst = outcomes.find((o) => o.code !== 'ENODATA' && o.code !== 'ENOTFOUND') ?? outcomes[0]
  const words = WORDS[worst.code] ?? worst.code
  return `${name}: ${words}${worst.why === undefined ? '' : `: ${worst.why}`}`
}

const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  ENODATA: 'it has no such records',
  ETIMEOUT: 'no server answered',
  ECONNREFUSED: 'no server can be reached',
  ESERVFAIL: 'the server failed (SERVFAIL)',
  EREFUSED: 'the server refused (REFUSED)',
  ENOTIMP: 'the server cannot do that (NOTIMP)',
  EFORMERR: 'the server did not understand the question (FORMERR)',
  EBADRESP: 'the answer makes no sense',
  EBADNAME: 'that is no domain name',
}
