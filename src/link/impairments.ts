/** What a `fault` link does to frames: the options, their defaults and their checks. */
import { invalidArgument } from '../base/errors.ts'

/** What becomes of frames in one direction. Probabilities from 0 to 1, times in ms, rates in bit/s. */
export interface Impairments {
  /** Probability (0..1) that a frame is lost. */
  loss?: number
  /** Probability that a frame arrives twice. */
  duplicate?: number
  /** Probability that a frame is held back for `reorderDelay`, so that later ones overtake it. */
  reorder?: number
  /** How long a reordered frame is held back beyond its time, in ms. The greater of 1 and `delay` when left out. */
  reorderDelay?: number
  /** Probability that one bit of a frame is flipped. */
  corrupt?: number
  /** Added to every frame's way, in ms (fractions too). */
  delay?: number
  /** Added to it, a different time for each frame, uniformly from 0 to this many ms. Frames keep their order. */
  jitter?: number
  /** Bits per second of the line; 0 = no limit. */
  rate?: number
  /** Bytes that may wait for the line when `rate` is set; what comes when they do is lost (tail drop). 256 KiB when left out. */
  queue?: number
  /**
   * Probability that a packet that can take it (ECT in its IP header, RFC 3168) is marked "congestion experienced". Packets that
   * cannot pass untouched, though a real queue would drop as many of them.
   */
  mark?: number
  /** Bytes waiting for the line beyond which every packet that can take it is marked (a step, as DCTCP wants it); 0 = none. */
  markQueue?: number
}

/** As the stack above sees it. */
export type Direction = 'send' | 'receive'

/** Looks at one lent frame and says whether it may pass. For tests that lose exactly this or that frame. */
export type FrameFilter = (buf: Uint8Array, start: number, end: number, direction: Direction) => boolean

/** What goes wrong, each way or both, and the seed of the chance by which it does. */
export interface FaultOptions extends Impairments {
  /** The same seed gives the same faults. 1 when left out. */
  seed?: number
  /** Which way the impairments above hit. Both when left out. */
  direction?: Direction | 'both'
  /** Overrides for what the stack sends, and for what it receives. */
  send?: Impairments
  receive?: Impairments
  /** False from it: the frame is lost. */
  filter?: FrameFilter
  /** Offload off even while nothing is impaired, so that `set` may switch anything on later. */
  wire?: boolean
}

export type ResolvedImpairments = Required<Impairments>

const PROBABILITIES = ['loss', 'duplicate', 'reorder', 'corrupt', 'mark'] as const
const AMOUNTS = ['reorderDelay', 'delay', 'jitter', 'rate', 'queue', 'markQueue'] as const
const NAMES: readonly string[] = [...PROBABILITIES, ...AMOUNTS]
const OTHER_NAMES: readonly string[] = ['seed', 'direction', 'send', 'receive', 'filter', 'wire']

/** Half the reach of the wrapping microsecond clock: about a quarter of an hour. */
const MAX_MS = 1_000_000

/** Impairments with every field, checked. Throws ERR_INVALID_ARG_VALUE. */
export function resolveImpairments(given: Impairments): ResolvedImpairments {
  const out: ResolvedImpairments = {
    loss: given.loss ?? 0,
    duplicate: given.duplicate ?? 0,
    reorder: given.reorder ?? 0,
    reorderDelay: given.reorderDelay ?? Math.max(1, given.delay ?? 0),
    corrupt: given.corrupt ?? 0,
    delay: given.delay ?? 0,
    jitter: given.jitter ?? 0,
    rate: given.rate ?? 0,
    queue: given.queue ?? 256 << 10,
    mark: given.mark ?? 0,
    markQueue: given.markQueue ?? 0,
  }
  for (const name of PROBABILITIES) {
    if (!(out[name] >= 0 && out[name] <= 1))
      throw invalidArgument(`Invalid ${name} ${out[name]}: a probability from 0 to 1 expected`)
  }
  for (const name of AMOUNTS) {
    if (!(out[name] >= 0 && Number.isFinite(out[name]))) throw invalidArgument(`Invalid ${name} ${out[name]}: 0 or more expected`)
  }
  for (const name of ['reorderDelay', 'delay', 'jitter'] as const) {
    if (out[name] > MAX_MS) throw invalidArgument(`Invalid ${name} ${out[name]}: at most ${MAX_MS} ms expected`)
  }
  return out
}

/** The impairments of one direction of `fault(link, options)`. */
export function impairmentsOf(options: FaultOptions, direction: Direction): ResolvedImpairments {
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name) && !OTHER_NAMES.includes(name)) throw invalidArgument(`Unknown fault option ${name}`)
  }
  const both = options.direction ?? 'both'
  if (both !== 'both' && both !== 'send' && both !== 'receive')
    throw invalidArgument(`Invalid direction ${both}: send, receive or both expected`)
  const own = options[direction] ?? {}
  for (const name of Object.keys(own))
    if (!NAMES.includes(name)) throw invalidArgument(`Unknown fault option ${direction}.${name}`)
  return resolveImpairments(both === 'both' || both === direction ? { ...pick(options), ...own } : own)
}

function pick(options: FaultOptions): Impairments {
  const { loss, duplicate, reorder, reorderDelay, corrupt, delay, jitter, rate, queue, mark, markQueue } = options
  return { loss, duplicate, reorder, reorderDelay, corrupt, delay, jitter, rate, queue, mark, markQueue }
}

/** True when they only make sense on frames as a wire has them: one segment each, with a whole checksum. */
export function needsWireFrames(i: ResolvedImpairments): boolean {
  return i.loss > 0 || i.duplicate > 0 || i.reorder > 0 || i.corrupt > 0 || i.rate > 0 || i.mark > 0
}
