/** A service that we publish (RFC 6763): its instance, where it is, what it says of itself, and that there are such services. */
import { invalidArgument } from '../base/errors.ts'
import type { MdnsConfig } from '../base/mdns-config.ts'
import type { Registration } from './claim.ts'
import type { Link } from './link.ts'
import { instanceName, labelFor, nextInstance, serviceType, TYPE_ENUMERATION } from './names.ts'
import { Own, rr } from './record.ts'
import { type TxtInput, txtStrings } from './txt.ts'

/** What is said of a service. */
export interface PublishOptions {
  /** What people see: any text of up to 63 bytes of UTF-8. */
  name: string
  /** `_http._tcp` */
  type: string
  port: number
  /** Keys and values (section 6). */
  txt?: TxtInput
  /** Narrower kinds of the type: `_printer` (section 7.1). */
  subtypes?: readonly string[]
  /** SRV: which of several to take (RFC 2782); 0. */
  priority?: number
  weight?: number
}

export interface PublicationOwner {
  readonly config: MdnsConfig
  readonly hostname: string
  renamed(publication: Publication): void
  changed(publication: Publication): void
  unpublish(publication: Publication): void
  /** It has been announced on all links. */
  isSaid(publication: Publication): boolean
}

/** A service of ours, from its probes to its goodbye. Made by `stack.mdns.publish`. */
export class Publication implements Registration {
  /** As it is called now: another host may have had the name that was asked for. */
  name: string
  readonly type: string
  readonly port: number
  /** Resolves with the name when the service has been announced on all links; rejects with ECANCELED when it was closed before. */
  readonly ready: Promise<string>
  /** Called when the name had to change. */
  onRename: ((name: string) => void) | null = null
  resolve: (name: string) => void = () => undefined
  reject: (error: unknown) => void = () => undefined
  private strings: Uint8Array[]
  private readonly subtypes: readonly string[]
  private readonly priority: number
  private readonly weight: number

  /** Throws ERR_INVALID_ARG_VALUE. */
  constructor(
    private readonly owner: PublicationOwner,
    options: PublishOptions,
  ) {
    const { name, type, port, txt = {}, subtypes = [], priority = 0, weight = 0 } = options
    this.type = serviceType(type)
    instanceName(name, this.type)
    for (const [what, n] of Object.entries({ port, priority, weight }))
      if (!(Number.isInteger(n) && n >= 0 && n <= 65535)) throw invalidArgument(`${what} ${n} is not between 0 and 65535`)
    this.name = name
    this.port = port
    this.strings = txtStrings(txt)
    this.subtypes = subtypes.map(labelFor)
    this.priority = priority
    this.weight = weight
    this.ready = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.ready.catch(() => undefined)
  }

  /** `My\032web._http._tcp.local` */
  get fullName(): string {
    return instanceName(this.name, this.type)
  }

  /** Other keys and values from now on. Throws ERR_INVALID_ARG_VALUE. */
  setTxt(txt: TxtInput): void {
    this.strings = txtStrings(txt)
    this.owner.changed(this)
  }

  /** Takes it back, and tells everybody. Idempotent. */
  close(): void {
    this.owner.unpublish(this)
  }

  records(_: Link): Own[] {
    const { fullName, priority, weight, port, owner, subtypes } = this
    const { hostTtlSeconds, otherTtlSeconds } = owner.config
    const type = `${this.type}.local`
    const pointer = (from: string, to: string): Own => new Own(rr(from, 'PTR', { ptrdname: to }, otherTtlSeconds), 'shared')
    return [
      new Own(rr(fullName, 'SRV', { priority, weight, port, target: owner.hostname }, hostTtlSeconds), 'unique'),
      new Own(rr(fullName, 'TXT', { strings: this.strings }, otherTtlSeconds), 'unique'),
      pointer(type, fullName),
      ...subtypes.map((subtype) => pointer(`${subtype}._sub.${type}`, fullName)),
      pointer(TYPE_ENUMERATION, type),
    ]
  }

  rename(): void {
    this.name = nextInstance(this.name)
    this.owner.renamed(this)
  }

  announced(): void {
    if (this.owner.isSaid(this)) this.resolve(this.name)
  }
}
