/** What is looked at before a question counts: its form, its EDNS and cookie, who asks, and how often. */
import type { Host } from '../../base/clock.ts'
import type { DnsServerConfig } from '../../base/dns-server-config.ts'
import { HostBuckets } from '../../base/host-buckets.ts'
import type { Random } from '../../base/random.ts'
import type { Ip } from '../../ip/ip.ts'
import { type Message, Rcode } from '../message.ts'
import { CLASS_IN, TYPE_OPT, typeCode } from '../records.ts'
import { MAX_MESSAGE } from '../writer.ts'
import { AccessList, isAttached } from './access.ts'
import { emptyReply, type Reply } from './authority.ts'
import { Cookies, OPTION_COOKIE } from './cookies.ts'
import { SN } from './counters.ts'
import type { DnsServerOptions } from './options.ts'
import { type Answering, type Asker, refusal, Why } from './question.ts'

export interface ScreeningDependencies {
  readonly ip: Ip
  readonly host: Host
  readonly random: Random
  readonly config: DnsServerConfig
}

/** Types of questions that are none of data (RFC 6895 section 3.1). */
export const AXFR = 252
export const IXFR = 251
const META_FIRST = 128
const TYPE_ANY = 255
/** RFC 1035 section 4.2.1. */
const PLAIN_UDP = 512

export class Screening {
  private readonly allow: AccessList
  private readonly cookies: Cookies
  private readonly unproven: HostBuckets
  private slip = false

  /** Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
  constructor(
    private readonly deps: ScreeningDependencies,
    private readonly counts: Float64Array,
    options: DnsServerOptions,
  ) {
    const { ip, host, random, config } = deps
    this.allow = new AccessList(ip, options.allow ?? ['any'])
    this.cookies = new Cookies(host, random, options.cookieSecret)
    this.unproven = new HostBuckets(config.responsesPerSecond, random, host.ms())
  }

  /** Over TCP, and on networks of ours, nobody is somebody else; or is so to his neighbours only. */
  begin({ overTcp, address }: Asker): Answering {
    return { limit: overTcp ? MAX_MESSAGE : PLAIN_UDP, proven: overTcp || isAttached(this.deps.ip, address), options: [] }
  }

  /** What is wrong with a message before its question counts; null: nothing. */
  judge(query: Message, asker: Asker, edns: Answering): Reply | null {
    const counter = this.counts
    if (query.edns !== null) {
      if (query.edns.version > 0) return emptyReply(Rcode.BADVERS)
      const cookie = query.edns.options.find((o) => o.code === OPTION_COOKIE)?.data
      if (cookie !== undefined) {
        const verdict = this.cookies.judge(cookie, asker.address)
        if (verdict === 'malformed') return emptyReply(Rcode.FORMERR)
        if (verdict === 'good') edns.proven = true
        counter[verdict === 'good' ? SN.cookiesGood : SN.cookiesBad]++
        edns.options.push({ code: OPTION_COOKIE, data: this.cookies.make(cookie, asker.address) })
        // RFC 7873 section 5.4: only for the cookie.
        if (query.questions.length === 0) return emptyReply(Rcode.NOERROR)
      }
      const { udpPayloadBytes, unprovenPayloadBytes } = this.deps.config
      const most = edns.proven ? udpPayloadBytes : Math.min(unprovenPayloadBytes, udpPayloadBytes)
      if (!asker.overTcp) edns.limit = Math.max(PLAIN_UDP, Math.min(query.edns.udpPayloadBytes, most))
    }
    // RFC 9619
    if (query.questions.length !== 1) return emptyReply(Rcode.FORMERR)
    const [{ type, class: qclass }] = query.questions
    const code = typeCode(type)!
    if (code === 0 || code === TYPE_OPT) return emptyReply(Rcode.FORMERR)
    if (qclass !== CLASS_IN) return refusal(edns, Why.NOT_AUTHORITATIVE)
    if (!this.allow.admits(asker.address)) {
      counter[SN.refusedAccess]++
      return refusal(edns, Why.PROHIBITED)
    }
    // Transaction keys, the mail agents of RFC 883, and their like.
    if (code >= META_FIRST && code < TYPE_ANY && code !== AXFR && code !== IXFR) return emptyReply(Rcode.NOTIMP)
    return null
  }

  /**
   * Whether an answer may go: to strangers only so many a second. Of what is beyond each second one is an empty answer that says "over TCP", for real ones
   * among those who are imitated (RRL, as BIND and NSD have it).
   */
  verdict(asker: Asker, edns: Answering): 'send' | 'slip' | 'drop' {
    if (edns.proven) return 'send'
    const bucket = this.unproven.find(asker.address, this.deps.host.ms())
    if (bucket >= 0) {
      this.unproven.take(bucket)
      return 'send'
    }
    this.slip = !this.slip
    this.counts[this.slip ? SN.slipped : SN.dropRate]++
    return this.slip ? 'slip' : 'drop'
  }
}
