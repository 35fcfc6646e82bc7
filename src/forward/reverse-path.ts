/**
 * The reverse-path filter (RFC 3704): a packet from a source that we would not send to by the interface it came in by is probably forged.
 *
 * Strict (section 2.2): the best route to the source leads out where the packet came in. Loose (section 2.4): there is a route to it. Answers are
 * remembered like ways (route-cache.ts).
 */
import { Address } from '../base/address.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import { isUnicast } from '../ip/route.ts'

class Answer {
  generation = -1
  readonly source = new Address()
  iif: Interface | null = null
  passes = false
}

export class ReversePath {
  private readonly answers: (Answer | null)[]
  private readonly mask: number

  constructor(
    private readonly ip: Ip,
    private readonly strict: boolean,
    entries: number,
    private readonly key: number,
  ) {
    this.answers = new Array<Answer | null>(entries).fill(null)
    this.mask = entries - 1
  }

  passes(packet: Packet): boolean {
    const { ip } = this
    const { source, iface } = packet
    let h = Math.imul(source.digest ^ this.key ^ iface.index, 0x9e3779b1)
    h = (h ^ (h >>> 15)) & this.mask
    let answer = this.answers[h]
    if (answer === null) {
      answer = new Answer()
      this.answers[h] = answer
    } else if (answer.generation === ip.generation && answer.iif === iface && answer.source.equals(source)) return answer.passes
    answer.generation = ip.generation
    answer.source.copy(source)
    answer.iif = iface
    answer.passes = this.ask(packet)
    return answer.passes
  }

  private ask(packet: Packet): boolean {
    // Rules are asked as for an answer of our own: what comes back may come in anywhere.
    const entry = this.ip.lookup(packet.source, packet.destination, null, null)
    if (entry === null || !isUnicast(entry)) return false
    if (!this.strict) return true
    return entry.hops === undefined ? entry.iface === packet.iface : entry.hops.some((hop) => hop.iface === packet.iface)
  }
}
