/**
 * SO_TIMESTAMPING for what is sent: when the last byte of a call was scheduled, left and was acknowledged, on the error queue as Linux tells it.
 * There is no queue between this stack and its link: what is scheduled has left.
 */

/** What is asked for, by Linux's names. Others skip the script. */
const TOLD: { readonly [flag: string]: string } = {
  SOF_TIMESTAMPING_TX_SCHED: 'SCM_TSTAMP_SCHED',
  SOF_TIMESTAMPING_TX_SOFTWARE: 'SCM_TSTAMP_SND',
  SOF_TIMESTAMPING_TX_ACK: 'SCM_TSTAMP_ACK',
}
const MANNERS = new Set(['SOF_TIMESTAMPING_SOFTWARE', 'SOF_TIMESTAMPING_OPT_ID', 'SOF_TIMESTAMPING_OPT_ID_TCP'])

export interface SentStamp {
  /** `SCM_TSTAMP_ACK`. */
  event: string
  /** The last byte, counted from 0 at the time that stamps were asked for. */
  key: number
  /** Microseconds since the script began. */
  us: number
}

/** The first of the flags that is not played, or null. */
export function unknownStamp(flags: readonly string[]): string | null {
  return flags.find((f) => TOLD[f] === undefined && !MANNERS.has(f)) ?? null
}

export class SentStamps {
  private readonly sending: number[] = []
  private readonly waiting: number[] = []
  private readonly queue: SentStamp[] = []

  constructor(
    private readonly flags: readonly string[],
    /** Bytes of the stream before the first that has a stamp. */
    private readonly base: number,
  ) {}

  /** A call has queued bytes up to `end` of the stream. */
  wrote(end: number): void {
    if (this.sending.at(-1) !== end) this.sending.push(end)
  }

  /** So many bytes of the stream have left and are acknowledged now. */
  look(sent: number, acked: number, us: number): void {
    while (this.sending.length > 0 && this.sending[0] <= sent) {
      const end = this.sending.shift()!
      this.waiting.push(end)
      this.tell('SOF_TIMESTAMPING_TX_SCHED', end, us)
      this.tell('SOF_TIMESTAMPING_TX_SOFTWARE', end, us)
    }
    while (this.waiting.length > 0 && this.waiting[0] <= acked) this.tell('SOF_TIMESTAMPING_TX_ACK', this.waiting.shift()!, us)
  }

  private tell(flag: string, end: number, us: number): void {
    if (this.flags.includes(flag)) this.queue.push({ event: TOLD[flag], key: end - this.base - 1, us })
  }

  get hasNews(): boolean {
    return this.queue.length > 0
  }

  take(): SentStamp | null {
    return this.queue.shift() ?? null
  }
}
