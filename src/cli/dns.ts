/** `tapstack dns`: a DNS server for a lab or a gateway. */
import { readFileSync } from 'node:fs'
import { Zone } from '../dns/server/zone.ts'
import type { StackDnsServerOptions } from '../stack/dns-server.ts'
import { type Command, integer, text, texts, UsageError, type Values } from './command.ts'
import { NETWORK_OPTIONS, openNetwork, stopped } from './network.ts'

export const dns: Command = {
  name: 'dns',
  summary: 'serve names: zones, a hosts file, what other servers know',
  usage: '[options]',
  about: [
    'Answers over UDP and TCP, prints a line that begins with "ready", and ends with Ctrl-C. Without --zone, --hosts and --forward it knows localhost alone.',
    'It asks others for those on its own network only, unless --allow-forward says who else may.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    zone: {
      type: 'string',
      multiple: true,
      value: 'NAME=FILE',
      text: 'master file of a zone, repeatable; NAME may be left out when its SOA has it',
    },
    hosts: { type: 'string', value: 'FILE', text: 'names of a hosts(5) file' },
    forward: {
      type: 'string',
      multiple: true,
      value: '[NAME=]IP',
      text: 'server to ask for the rest, or for names below NAME, with :PORT if it is not 53; repeatable',
    },
    port: { type: 'string', short: 'p', value: 'N', text: 'port to listen on (53)' },
    'allow-forward': {
      type: 'string',
      multiple: true,
      value: 'NET',
      text: 'for whom others are asked: prefixes, any (attached)',
    },
    'allow-transfer': {
      type: 'string',
      multiple: true,
      value: 'NET',
      text: 'who gets whole zones: prefixes, attached, any (nobody)',
    },
    'stop-rebind': { type: 'boolean', text: 'refuse answers of others that lead to addresses of private networks' },
  },
  words: 0,
  examples: [
    ['dns --zone examples/lab.zone', 'on the host, dig @10.0.0.2 www.lab.test'],
    ['dns --hosts /etc/hosts --forward 10.0.0.1', 'what is not in the file is asked of 10.0.0.1'],
    ['dns --forward 10.0.0.1 --forward corp.test=10.0.0.5', 'names below corp.test by another server'],
  ],
  failure: 2,
  async run(context, values) {
    const options = optionsOf(values)
    const network = await openNetwork(context, values)
    try {
      const { stack, address, link } = network
      const server = stack.dnsServer(options)
      const zones = server.zones.map((zone) => `${zone.name} (${zone.size} records)`).join(', ')
      context.out(`ready: ${address} on ${link.name} port ${server.port}${zones === '' ? '' : `, ${zones}`}`)
      await Promise.race([stopped(context), network.broken])
      return 0
    } finally {
      await network.close()
    }
  },
}

function optionsOf(values: Values): StackDnsServerOptions {
  const hosts = text(values, 'hosts')
  return {
    port: integer(values, 'port', 1, 65535, 53),
    zones: texts(values, 'zone').map(zoneOf),
    forward: forwardOf(texts(values, 'forward')),
    ...(hosts !== undefined && { hosts: read('hosts', hosts) }),
    ...given(values, 'allow-forward', 'allowForward'),
    ...given(values, 'allow-transfer', 'allowTransfer'),
    rebindProtection: values['stop-rebind'] === true,
  }
}

function given(values: Values, option: string, name: string): Record<string, string[]> {
  const list = texts(values, option)
  return list.length === 0 ? {} : { [name]: list }
}

/** `lab.test=lab.zone`, `lab.zone` */
function zoneOf(option: string): Zone {
  const equals = option.indexOf('=')
  const file = option.slice(equals + 1)
  const source = read('zone', file)
  try {
    return new Zone(equals < 0 ? null : option.slice(0, equals), source)
  } catch (error) {
    throw new UsageError(`--zone ${file}: ${(error as Error).message}`)
  }
}

function read(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`--${option} ${file}: ${(error as Error).message}`)
  }
}

/** Servers by domain; `.` is the rest. */
function forwardOf(list: readonly string[]): Record<string, string[]> {
  const out: Record<string, string[]> = {}
  for (const one of list) {
    const equals = one.indexOf('=')
    const domain = equals < 0 ? '.' : one.slice(0, equals)
    out[domain] = [...(out[domain] ?? []), one.slice(equals + 1)]
  }
  return out
}
