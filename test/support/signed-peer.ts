/**
 * Makes the peer of a TCP lab one that signs: what it sends is signed on its way to the stack, what the stack sends is verified and the option taken
 * out before the lab reads it. Signatures are made by Node's own cryptography, straight from the RFCs: a naive twin of src/tcp/signature*.ts.
 */
import { createHash, createHmac } from 'node:crypto'
import { CSUM_MASK, CSUM_PARTIAL } from '../../src/netif/netif.ts'
import { naiveSum } from './frames.ts'
import type { TcpLab } from './tcp-lab.ts'
import { b16, b32 } from './tcp-notation.ts'

const SYN = 2
const ACK = 16

export interface PeerKey {
  secret: string
  /** TCP-AO: the number of the key as the peer sends it, and as we do. */
  peerId: number
  ourId: number
}

/** A segment that left, as it was signed. */
export interface SeenSignature {
  flags: number
  keyId: number
  rnextKeyId: number
  length: number
}

export class SignedPeer {
  /** How the next segments of the peer are signed. `twice`: correctly, and once more. */
  mode: 'good' | 'none' | 'bad' | 'short' | 'twice' = 'good'
  /** With TCP-AO: which key the peer signs with, and which one it asks for (its number as we send it). */
  key: PeerKey
  rnextKeyId: number
  readonly seen: SeenSignature[] = []
  /** Hosts (last byte of the address) that do not sign. */
  readonly unsigned = new Set<number>()
  /** TCP-AO: initial sequence numbers, by the peer's address and the ports. */
  private readonly isns = new Map<string, { peer: number; ours: number }>()

  constructor(
    lab: TcpLab,
    private readonly kind: 'md5' | 'ao',
    readonly keys: PeerKey[],
  ) {
    this.key = keys[0]
    this.rnextKeyId = keys[0].ourId
    const { inbound } = lab.link
    inbound.push = (...items) => {
      for (const { bytes, meta } of items) inbound[inbound.length] = { bytes: this.outgoing(bytes), meta }
      return inbound.length
    }
    const read = lab.emitted.bind(lab)
    lab.emitted = (bytes, meta) => read(this.incoming(bytes, (meta & CSUM_MASK) === CSUM_PARTIAL), meta)
  }

  private get length(): number {
    return this.kind === 'md5' ? 20 : 16
  }

  private isn(host: number, hostPort: number, port: number): { peer: number; ours: number } {
    const name = `${host} ${hostPort} ${port}`
    let isn = this.isns.get(name)
    if (isn === undefined) {
      isn = { peer: 0, ours: 0 }
      this.isns.set(name, isn)
    }
    return isn
  }

  /** Of the peer, on its way to the stack. */
  private outgoing(bytes: Uint8Array): Uint8Array {
    const host = bytes[15]
    if (bytes[9] !== 6 || this.unsigned.has(host)) return bytes
    const flags = bytes[33]
    const isn = this.isn(host, word16(bytes, 20), word16(bytes, 22))
    if ((flags & SYN) !== 0) isn.peer = word32(bytes, 24)
    if (this.mode === 'none') return bytes
    const times = this.mode === 'twice' ? 2 : 1
    const option: number[] = []
    for (let i = 0; i < times; i++) option.push(...this.option())
    const out = withOptions(bytes, [...option, ...bytes.slice(40, 20 + (bytes[32] >> 4) * 4)])
    const mac = this.mac(out, this.key, isn.peer, (flags & (SYN | ACK)) === SYN ? 0 : isn.ours, 40)
    if (this.mode === 'bad') mac[0] ^= 1
    out.set(mac, 44)
    if (this.mode === 'short') {
      // The length is one that no such option has; what follows is padding.
      out[this.kind === 'md5' ? 43 : 41] = this.kind === 'md5' ? 10 : 3
      out.fill(1, this.kind === 'md5' ? 52 : 43, 40 + this.length)
    }
    return checked(out)
  }

  private option(): number[] {
    return this.kind === 'md5'
      ? [1, 1, 19, 18, ...new Array<number>(16).fill(0)]
      : [29, 16, this.key.peerId, this.rnextKeyId, ...new Array<number>(12).fill(0)]
  }

  /** Of the stack: verified, and without its option. Throws when it is not what the peer would believe. */
  private incoming(bytes: Uint8Array, partial: boolean): Uint8Array {
    const host = bytes[19]
    if (bytes[9] !== 6 || this.unsigned.has(host)) return bytes
    const flags = bytes[33]
    const isn = this.isn(host, word16(bytes, 22), word16(bytes, 20))
    if ((flags & SYN) !== 0) isn.ours = word32(bytes, 24)
    const header = 20 + (bytes[32] >> 4) * 4
    const at = this.kind === 'md5' ? 42 : 40
    if (bytes[at] !== (this.kind === 'md5' ? 19 : 29)) throw new Error('a segment left without signature')
    const key = this.kind === 'md5' ? this.keys[0] : this.keys.find((k) => k.ourId === bytes[42])
    if (key === undefined) throw new Error(`a segment left with a key that nobody has: ${bytes[42]}`)
    const mac = this.mac(bytes, key, isn.ours, (flags & (SYN | ACK)) === SYN ? 0 : isn.peer, 40)
    if (Buffer.compare(bytes.slice(44, 44 + mac.length), mac) !== 0) throw new Error('a segment left with a wrong signature')
    this.seen.push({ flags, keyId: bytes[42], rnextKeyId: bytes[43], length: bytes.length })
    return checked(withOptions(bytes, [...bytes.slice(40 + this.length, header)]), partial)
  }

  private mac(bytes: Uint8Array, key: PeerKey, sourceIsn: number, destinationIsn: number, option: number): Uint8Array {
    const header = 20 + (bytes[32] >> 4) * 4
    const tcp = bytes.slice(20)
    tcp.fill(0, 16, 18)
    const pseudo = [...bytes.slice(12, 20), 0, 6, ...b16(tcp.length)]
    const data = bytes.slice(header)
    if (this.kind === 'md5') {
      const hash = createHash('md5').update(new Uint8Array([...pseudo, ...tcp.slice(0, 20)]))
      return hash.update(data).update(key.secret).digest()
    }
    tcp.fill(0, option - 20 + 4, option - 20 + 16)
    const context = [...bytes.slice(12, 20), ...bytes.slice(20, 24), ...b32(sourceIsn), ...b32(destinationIsn)]
    const input = [1, ...Buffer.from('TCP-AO'), ...context, 0, 160]
    const trafficKey = createHmac('sha1', key.secret).update(new Uint8Array(input)).digest()
    const sequence = (sourceIsn >>> 0) + ((word32(bytes, 24) - sourceIsn) >>> 0)
    const sne = Math.floor(sequence / 2 ** 32)
    return createHmac('sha1', trafficKey)
      .update(new Uint8Array([...b32(sne), ...pseudo]))
      .update(tcp)
      .digest()
      .subarray(0, 12)
  }

  /** Signatures since the last call. */
  take(): SeenSignature[] {
    return this.seen.splice(0)
  }
}

function word16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1]
}

function word32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

/** The packet with other TCP options. */
function withOptions(bytes: Uint8Array, options: number[]): Uint8Array {
  const header = 20 + (bytes[32] >> 4) * 4
  const out = new Uint8Array([...bytes.slice(0, 40), ...options, ...bytes.slice(header)])
  out.set(b16(out.length), 2)
  out[32] = ((5 + options.length / 4) << 4) | (bytes[32] & 15)
  return out
}

/** With the checksums that belong to it; that of TCP may be left to the link. */
function checked(out: Uint8Array, partial = false): Uint8Array {
  out.fill(0, 10, 12)
  out.set(b16(~naiveSum(out, 0, 20)), 10)
  out.fill(0, 36, 38)
  const pseudo = naiveSum([...out.slice(12, 20), 0, 6, ...b16(out.length - 20)])
  out.set(b16(partial ? pseudo : ~naiveSum(out, 20, out.length, pseudo)), 36)
  return out
}
