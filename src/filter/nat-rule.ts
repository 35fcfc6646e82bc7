/** Rules of address translation: what users write of them, and the form that nat.ts asks. */
import { address as parseAddress } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import { AddressRange, type Match, Matcher } from './match.ts'
import type { HookName, RuleHandle } from './rule.ts'

/** Which packets a rule of address translation is about. */
export interface NatMatch extends Match {
  /** Lower ones are asked first. 0 when left out. */
  priority?: number
}

/** Whose source is changed, and what becomes of their ports. */
export interface SourceMatch extends NatMatch {
  /** Ports to choose from: `'2000-3000'`. When left out a connection keeps its own port if it can. */
  ports?: string
  /** A host's port is the same outside port to everybody (RFC 4787 REQ-1). */
  endpointIndependent?: boolean
}

/** The source becomes the address of the interface that the packet leaves by. */
export type MasqueradeOptions = SourceMatch

/** Which packets get another source, and which. */
export interface SnatOptions extends SourceMatch {
  /** `192.0.2.1`, or `192.0.2.1-192.0.2.8`: a host keeps to one of them. */
  to: string
}

/** Which packets go elsewhere than they were sent to, and where. */
export interface DnatOptions extends NatMatch {
  /** `10.0.0.8`, `10.0.0.8:8080`, `fd00::8`, `[fd00::8]:8080`; of addresses `a-b` a client keeps to one. */
  to: string
  /** Clients on the server's own network get through as well: to the server they look like this router. True when left out. */
  hairpin?: boolean
  /** For what this stack itself sends, too. */
  local?: boolean
}

/** Which packets for others come to a port of ours. */
export interface RedirectOptions extends NatMatch {
  /** A port of this stack. */
  toPort: number
  /** For what this stack itself sends, too: it goes to the loopback. */
  local?: boolean
}

export const NatKind = { SNAT: 0, MASQUERADE: 1, DNAT: 2, REDIRECT: 3 } as const

/** What a connection's rule was; `packets` and `bytes` are those of first packets. */
export class NatRule implements RuleHandle {
  packets = 0
  bytes = 0
  readonly matcher: Matcher
  /** Addresses to choose from. */
  to: AddressRange | null = null
  portFirst = 0
  portLast = 0
  endpointIndependent = false
  hairpin = false
  /** Asked at output as well. */
  isLocal = false

  constructor(
    readonly hook: HookName,
    readonly kind: number,
    match: Match,
    readonly priority: number,
    private readonly removeFrom: (rule: NatRule) => boolean,
  ) {
    this.matcher = new Matcher(match)
  }

  get hasPorts(): boolean {
    return this.portLast !== 0
  }

  setPorts(text: string): void {
    const parsed = /^(\d+)(?:-(\d+))?$/.exec(text)
    const first = parsed === null ? -1 : Number(parsed[1])
    const last = parsed === null ? -1 : Number(parsed[2] ?? parsed[1])
    if (!(first >= 1 && first <= last && last <= 65535)) throw invalidArgument(`${text} is no port, and no range of them`)
    this.portFirst = first
    this.portLast = last
  }

  /** `address`, `address:port`, `[address]:port`, `a-b`. */
  setTarget(text: string): void {
    const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text)
    const dotted = /^([\d.]+(?:-[\d.]+)?):(\d+)$/.exec(text)
    const address = bracketed?.[1] ?? dotted?.[1] ?? text
    const port = bracketed?.[2] ?? dotted?.[2]
    this.to = address.includes('-') ? AddressRange.parse(address) : new AddressRange(parseAddress(address), parseAddress(address))
    if (port !== undefined) this.setPorts(port)
  }

  remove(): boolean {
    return this.removeFrom(this)
  }
}

/** What of the options is a condition. */
function conditions(options: NatMatch & Partial<SnatOptions & DnatOptions & RedirectOptions>): Match {
  const { to, ports, endpointIndependent, hairpin, local, toPort, priority, ...match } = options
  return match
}

type Remove = (rule: NatRule) => boolean

export function sourceRule(options: MasqueradeOptions & Partial<SnatOptions>, remove: Remove): NatRule {
  const kind = options.to === undefined ? NatKind.MASQUERADE : NatKind.SNAT
  const rule = new NatRule('postrouting', kind, conditions(options), options.priority ?? 0, remove)
  if (options.to !== undefined) rule.to = AddressRange.parse(options.to)
  if (options.ports !== undefined) rule.setPorts(options.ports)
  rule.endpointIndependent = options.endpointIndependent === true
  return rule
}

export function destinationRule(options: DnatOptions, remove: Remove): NatRule {
  const rule = new NatRule('prerouting', NatKind.DNAT, conditions(options), options.priority ?? 0, remove)
  rule.setTarget(options.to)
  rule.hairpin = options.hairpin !== false
  rule.isLocal = options.local === true
  return rule
}

export function redirectRule(options: RedirectOptions, remove: Remove): NatRule {
  const rule = new NatRule('prerouting', NatKind.REDIRECT, conditions(options), options.priority ?? 0, remove)
  rule.setPorts(String(options.toPort))
  rule.isLocal = options.local === true
  return rule
}
