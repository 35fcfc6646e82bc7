/**
 * A stack for Node: the host is Node, and `net`, `dgram` and `http` are there in Node's own shape, made when first looked at.
 */
import { isIP } from 'node:net'
import type { Address } from '../base/address.ts'
import type { Host } from '../base/clock.ts'
import type { ConfigOverrides } from '../base/config.ts'
import { NetError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { lookupError } from '../dns/errors.ts'
import { lookup } from '../dns/lookup.ts'
import type { ResolverDeps } from '../dns/resolver.ts'
import { parseScoped, scopedText } from '../ip/zone.ts'
import { resolverDeps } from '../stack/making.ts'
import { Stack } from '../stack/stack.ts'
import type { LookupFamily, NodeDeps, Owned } from './deps.ts'
import { createDgram, type DgramModule } from './dgram.ts'
import { createDns, type DnsDeps, type DnsModule } from './dns.ts'
import { ascii } from './dns-calls.ts'
import { UndiciOnStack } from './fetch.ts'
import { nodeHost, nodeRandom } from './host.ts'
import { createHttp, type HttpModule } from './http.ts'
import { createHttp2, type Http2Module } from './http2.ts'
import { createHttps, type HttpsModule } from './https.ts'
import { createNet, type NetModule } from './net.ts'
import { type RegisterOptions, type Registration, register } from './register.ts'
import { createTls, type TlsModule, type TlsParts } from './tls.ts'
import { secureConnect } from './web-tls.ts'

/** Overrides of the configuration; `host` and `random` are for tests and simulations. */
export interface StackOptions extends ConfigOverrides {
  host?: Host
  random?: Random
}

/** A stack with all of Node's shape. Made by `createStack`. */
export class NodeStack extends Stack implements NodeDeps, DnsDeps {
  /** Servers and datagram sockets that are open: they end with the stack. */
  readonly owned = new Set<Owned>()
  private madeNet: NetModule | null = null
  private madeDgram: DgramModule | null = null
  private madeHttp: HttpModule | null = null
  private madeTls: TlsParts | null = null
  private madeHttps: HttpsModule | null = null
  private madeHttp2: Http2Module | null = null
  private madeDns: DnsModule | null = null
  private madeUndici: UndiciOnStack | null = null

  constructor(options: StackOptions = {}) {
    const { host = nodeHost, random = nodeRandom, ...overrides } = options
    super({ host, random }, overrides)
    this.tcp.web.secure = secureConnect(this)
  }

  /** `node:net` on this stack. */
  get net(): NetModule {
    this.madeNet ??= createNet(this)
    return this.madeNet
  }

  /** `node:dgram` on this stack. */
  get dgram(): DgramModule {
    this.madeDgram ??= createDgram(this)
    return this.madeDgram
  }

  /** `node:http` on this stack. */
  get http(): HttpModule {
    this.madeHttp ??= createHttp(this.net)
    return this.madeHttp
  }

  private get tlsParts(): TlsParts {
    this.madeTls ??= createTls(this.net)
    return this.madeTls
  }

  /** `node:tls` on this stack. */
  get tls(): TlsModule {
    return this.tlsParts.module
  }

  /** `node:https` on this stack. */
  get https(): HttpsModule {
    this.madeHttps ??= createHttps(this.net, this.tlsParts.over)
    return this.madeHttps
  }

  /** `node:http2` on this stack. */
  get http2(): Http2Module {
    this.madeHttp2 ??= createHttp2(this.net, this.tls)
    return this.madeHttp2
  }

  /** `node:dns` on this stack, and `.promises`. */
  get dns(): DnsModule {
    this.madeDns ??= createDns(this)
    return this.madeDns
  }

  /** undici on this stack: `stack.undici.connector()` and `agent()` for dispatchers of one's own. undici is an optional peer dependency. */
  get undici(): UndiciOnStack {
    if (this.madeUndici === null) {
      this.madeUndici = new UndiciOnStack(
        () => this.net,
        () => this.tls,
      )
      this.owned.add(this.madeUndici)
    }
    return this.madeUndici
  }

  /** `fetch` on this stack, by undici. Rejects with ERR_TAPSTACK_NO_UNDICI where that is not installed. */
  get fetch(): typeof globalThis.fetch {
    return this.undici.fetch
  }

  /**
   * From now on `import 'node:net'` and its kin give this stack's modules to whoever is chosen: `stack.register('ws')`, `stack.register({ match: /plugins/ })`,
   * without an argument the whole program; until `unregister()`, or the stack is closed. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE.
   */
  register(options?: RegisterOptions | string | readonly string[]): Registration {
    return register(this, options)
  }

  /** What a resolver of an application's own is made of. */
  get resolverDeps(): ResolverDeps {
    return resolverDeps(this)
  }

  literal(text: string): Address {
    try {
      return parseScoped(this.ipLayer, text)
    } catch (error) {
      throw new NetError('EINVAL', { address: text, cause: error })
    }
  }

  addressText(a: Address): string {
    return scopedText(this.ipLayer, a)
  }

  get hasIpv6(): boolean {
    return this.ipLayer.v6 !== null
  }

  /** Addresses of a name, best first. Rejects with ENOTFOUND and EAI_AGAIN as `dns.lookup` does. */
  async lookup(hostname: string, family: LookupFamily = 0): Promise<Address[]> {
    if (isIP(hostname) !== 0) {
      const literal = this.literal(hostname)
      if (family !== 0 && literal.family !== family) throw lookupError(hostname, { code: 'ENOTFOUND' })
      return [literal]
    }
    const result = await lookup(this.resolver, ascii(hostname), { family, configuredOnly: true })
    if (result.code !== '') throw lookupError(hostname, result)
    return result.addresses
  }

  override close(): Promise<void> {
    for (const one of [...this.owned]) one.end()
    return super.close()
  }
}

/** A TCP/IP stack of its own: many per process, nothing shared. */
export function createStack(options: StackOptions = {}): NodeStack {
  return new NodeStack(options)
}
