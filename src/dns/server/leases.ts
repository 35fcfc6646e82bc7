/**
 * Names of DHCP leases, in a zone of ours: a client that calls itself `laptop` is `laptop.lan` for as long as its lease holds.
 *
 * What a client says is a stranger's word: it must be one label of letters, digits and hyphens, is never a name that the zone has anyhow, nor one
 * that software trusts (`wpad`: VU#598349), and belongs to the first who has it until his lease ends. Nobody takes another's name.
 */
import type { Zone } from './zone.ts'

/** A lease as a DHCP server knows it. */
export interface NamedLease {
  readonly address: string
  readonly mac: string
  readonly hostname: string | null
  readonly state: 'bound' | 'free' | 'abandoned'
}

/** A DHCP server: what it has given, and who hears of more. */
export interface LeaseSource {
  readonly leases: readonly NamedLease[]
  watch(watcher: (lease: NamedLease) => void): () => void
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const RESERVED = new Set(['localhost', 'wpad', 'isatap'])

export class LeaseNames {
  /** By label: whose it is. */
  private readonly holders = new Map<string, NamedLease>()
  private readonly labels = new Map<string, string>()
  private readonly unwatch: () => void

  constructor(
    private readonly zone: Zone,
    source: LeaseSource,
    private readonly ttl: number,
    private readonly refused: () => void,
  ) {
    for (const lease of source.leases) this.changed(lease)
    this.unwatch = source.watch((lease) => this.changed(lease))
  }

  /** The names go. */
  close(): void {
    this.unwatch()
    for (const address of [...this.labels.keys()]) this.drop(address)
  }

  private changed(lease: NamedLease): void {
    const label = lease.state === 'bound' ? labelOf(lease.hostname) : null
    const had = this.labels.get(lease.address)
    if (had !== undefined && had === label && this.holders.get(had)?.mac === lease.mac) return
    this.drop(lease.address)
    if (lease.state !== 'bound' || lease.hostname === null) return
    const holder = label === null ? undefined : this.holders.get(label)
    // The same client with another address has its name still.
    if (holder !== undefined && holder.mac === lease.mac) this.drop(holder.address)
    if (label === null || (holder !== undefined && holder.mac !== lease.mac) || this.zone.has(label)) {
      this.refused()
      return
    }
    this.zone.set(label, 'A', lease.address, this.ttl)
    this.holders.set(label, lease)
    this.labels.set(lease.address, label)
  }

  private drop(address: string): void {
    const label = this.labels.get(address)
    if (label === undefined) return
    this.labels.delete(address)
    this.holders.delete(label)
    this.zone.delete(label, 'A')
  }
}

/** The first label of what a client calls itself; null: it is no name for a host. */
function labelOf(hostname: string | null): string | null {
  const label = (hostname ?? '').toLowerCase().split('.')[0]
  return LABEL.test(label) && !RESERVED.has(label) ? label : null
}
