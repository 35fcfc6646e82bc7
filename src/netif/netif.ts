/**
 * The contract between the stack and a link: everything that carries frames is a `NetIf`, and is only that. A kernel tap, one end
 * of a pipe, a tunnel, a port of a switch, a capture around another link.
 *
 * Rules that both sides keep (the conformance suite in test/support/netif-conformance.ts checks them):
 *
 * 1. **Lent bytes.** A frame is `buf[start, end)` and is lent for the duration of the call, in both directions. Whoever wants the
 *    bytes afterwards copies them. The receiver of a lent frame may scribble over it and over the `HEADROOM` bytes before
 *    `start` (a device writes its own header there).
 * 2. **Frames are pulled.** When frames wait, the NetIf calls `sink.readable()` (once is enough); the stack, in its own turn,
 *    calls `receive(budget)` and the NetIf hands over at most that many by `sink.input()`. It returns true if more wait; after
 *    false it calls `readable()` again when the next one comes. `input` is called from nowhere else.
 * 3. **Sending never calls back.** `send()` does not call `input`; it answers true (taken, or lost as a wire loses) or false (full;
 *    nothing was taken; `sink.writable()` will follow).
 * 4. **No throw.** Neither side throws across this boundary. A link that dies calls `sink.closed(error)`, once.
 */
import type { Host } from '../base/clock.ts'

/** Frames with an Ethernet header, or bare IP packets. */
export type Medium = 'ethernet' | 'ip'

/** Bytes before `start` that a sender of a frame leaves free for the NetIf to write into (a virtio_net_hdr needs 12, two tags 8). */
export const HEADROOM = 24

/** What a NetIf can take over. Bits of `NetIf.offload`. */
export const Offload = {
  /** Frames sent to it may carry PARTIAL transport checksums. */
  TX_CHECKSUM: 1,
  /** It marks received frames whose transport checksum needs no look: VALID or PARTIAL. */
  RX_CHECKSUM: 2,
  /** Takes TCP/IPv4 super-segments (up to `gsoMax`). */
  TSO4: 4,
  /** Takes TCP/IPv6 super-segments. */
  TSO6: 8,
  /** Takes UDP super-datagrams. */
  USO: 16,
} as const

/** A link: whatever takes frames and hands them over. This file's head is the contract; docs/links.md builds one. */
export interface NetIf {
  /** The link's own name (`tap0`, `pipe0.a`). */
  readonly name: string
  readonly medium: Medium
  /** A MAC address that the link insists on, or null: the stack makes a random local one. 6 bytes. */
  readonly mac: Uint8Array | null
  /** Largest IP packet in bytes that fits one frame. On Ethernet up to two 802.1Q tags fit besides: they are part of the link header. */
  readonly mtu: number
  /** Bits of `Offload`. */
  readonly offload: number
  /** Largest IP packet in bytes of a super-segment (TSO/USO); 0 = none. At most 65535. */
  readonly gsoMax: number
  /** Binds the one sink; called once, before anything else. */
  attach(sink: NetIfSink): void
  /** Hands at most `budget` waiting frames to the sink. True: more wait. */
  receive(budget: number): boolean
  /** One frame, lent. `meta` as below. False: full, nothing taken, `writable()` follows. */
  send(buf: Uint8Array, start: number, end: number, meta: number): boolean
  /**
   * For links that keep frames in memory of their own: where to make a large one, so that `send` need not copy it. Points `into` at room for `payload`
   * bytes (`start` and `end`: where they begin, a multiple of four) with `headers` bytes before them and `HEADROOM` before those, or leaves it
   * alone. The room is good until the next call of `place` or until the other end takes frames; whether a frame is then sent from it, at once, after
   * others or not at all, is the caller's affair. False: full, as with `send`.
   */
  place?(into: Place, headers: number, payload: number): boolean
  /** End of a batch of sends: a link that gathers frames lets them go. */
  flush(): void
  /** Releases everything. Idempotent. After it nothing of the sink is called any more. */
  close(): Promise<void> | void
  /** Named counters of the link, for `stack.counters()`. */
  counters?(): Record<string, number>
  /** Text for people: what was opened, what it got (`tap0: offload csum,tso4,tso6`). */
  describe?(): string
  /** Keep the process alive while open (true) or not. Links start unref'd. */
  ref?(on: boolean): void
}

/** Where a frame is made (frame.ts). */
export interface Place {
  buf: Uint8Array
  start: number
  end: number
}

/** What is above a link: told that frames wait, that there is room again, that it has ended. */
export interface NetIfSink {
  /** Time and scheduling, for links that wait (a delay, a rate, a reconnect): the stack's own, so that simulated time reaches them. */
  readonly host: Host
  /** One received frame, lent. Only from within `receive()`. */
  input(buf: Uint8Array, start: number, end: number, meta: number): void
  /** Frames wait: `receive()` will be called soon. */
  readable(): void
  /** There is room again after a `send()` that returned false. */
  writable(): void
  /** The link has ended by itself and will not come back. */
  closed(error?: Error): void
}

/*
 * meta: one int that travels with a frame.
 *   bits 0-1  transport checksum: 0 unknown (verify on input; complete on output), 1 VALID (someone vouched), 2 PARTIAL
 *             (the field holds the folded, non-inverted pseudo-header sum; the bytes never crossed a wire)
 *   bits 2-4  super-segment: 0 none, 1 TCP/IPv4, 2 TCP/IPv6, 3 UDP
 *   bits 5-20 payload bytes per segment of a super-segment (the MSS in use)
 */
/** The bits of a frame's meta that say what is known of its checksum: one of the three that follow. */
export const CSUM_MASK = 3
/** Nothing is known: whoever cares has to look. */
export const CSUM_NONE = 0
/** Somebody has looked, or vouches for it. */
export const CSUM_VALID = 1
/** The sum of the pseudo header stands there: whoever sends it on a wire completes it. */
export const CSUM_PARTIAL = 2
/** The bits of a frame's meta that say whether it is a super-frame: one of those that follow. The size of its pieces is in the bits above. */
export const GSO_MASK = 7 << 2
/** An ordinary frame. */
export const GSO_NONE = 0
/** A super-segment of TCP over IPv4. */
export const GSO_TCP4 = 1 << 2
/** A super-segment of TCP over IPv6. */
export const GSO_TCP6 = 2 << 2
/** Several UDP datagrams in one. */
export const GSO_UDP = 3 << 2
const GSO_SIZE_SHIFT = 5

/** Payload bytes per segment of a super-segment; 0 when it is none. */
export function gsoSize(meta: number): number {
  return (meta >> GSO_SIZE_SHIFT) & 0xffff
}

/** Builds a meta int. */
export function frameMeta(csum: number, gso: number, size: number): number {
  return csum | gso | (size << GSO_SIZE_SHIFT)
}
