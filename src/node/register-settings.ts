/** What `tapstack/register` is told: by the environment, or by the query of its URL, which is the stronger. */

import { invalidArgument } from '../base/errors.ts'
import type { AttachOptions } from '../stack/attached.ts'
import type { RegisteredModule, RegisterOptions } from './register.ts'

export interface RegisterSettings {
  /** A URL for `openLink`; empty: none. */
  link: string
  attach: AttachOptions
  /** Addresses of DNS servers. */
  dns: string[]
  register: RegisterOptions
}

const KEYS = ['link', 'address', 'gateway', 'mac', 'dhcp', 'slaac', 'dns', 'packages', 'modules']

/** Throws ERR_INVALID_ARG_VALUE for a key of the query that nobody knows. */
export function readSettings(env: Readonly<Record<string, string | undefined>>, query: URLSearchParams): RegisterSettings {
  for (const key of query.keys()) {
    if (!KEYS.includes(key)) throw invalidArgument(`tapstack/register knows ${KEYS.join(', ')}, and no ${key}`)
  }
  const text = (key: string): string => query.get(key) ?? env[`TAPSTACK_${key.toUpperCase()}`] ?? ''
  const list = (key: string): string[] => {
    const items = text(key).split(',')
    return items.map((item) => item.trim()).filter((item) => item !== '')
  }
  const is = (key: string): boolean => !['', '0', 'false', 'no'].includes(text(key))
  const attach: AttachOptions = { addresses: list('address') }
  if (list('gateway').length > 0) attach.gateway = list('gateway')
  if (text('mac') !== '') attach.mac = text('mac')
  if (is('dhcp')) attach.dhcp = true
  if (is('slaac')) attach.slaac = true
  const register: RegisterOptions = {}
  if (list('packages').length > 0) register.packages = list('packages')
  if (list('modules').length > 0) register.modules = list('modules') as RegisteredModule[]
  return { link: text('link'), attach, dns: list('dns'), register }
}
