/**
 * Manners of TCP: where systems differ, because the RFCs leave it open, ask for it as a SHOULD only, or are not obeyed by everybody. Part of the
 * configuration (config.ts). The defaults are this stack's own choice; the others are there to look like another system, above all to scripts that were
 * written for one (sim/script/profiles.ts).
 */

export interface TcpManners {
  /** Both buffers are made multiples of the MSS once that is known. FreeBSD tcp_mss(). */
  wholeSegmentBuffers: boolean
  /** The window's edge moves by a segment or half the buffer (RFC 9293 section 3.8.6.2.2), or by `any` step while there is room (BSD, Linux). */
  windowSteps: 'large' | 'any'
  /** A window that is no multiple of its unit is told as the next larger one, so that its edge never moves left (Linux), or the next smaller (BSD). */
  windowRounding: 'up' | 'down'
  /**
   * When the application has read everything and the last segment seemed to end what the peer had to say (PSH, or less than a full one), the
   * ACK waits no longer, unless an answer is likely that it can ride on (Linux); false: it waits for the delayed ACK's time (BSD).
   */
  ackWhenRead: boolean
  /** What the receive buffer has room for is accepted, also beyond the window that was told. BSD. */
  acceptByBuffer: boolean
  /**
   * Segments without the timestamps that were agreed on are taken, as they were from a box on the way that strips options (Linux); false: they are
   * dropped (RFC 7323 section 3.2, FreeBSD tolerate_missing_ts 0).
   */
  tolerateMissingTimestamps: boolean
  /** Any reset, any SYN inside the window ends a connection, as in RFC 793 and no longer in RFC 5961. FreeBSD insecure_rst, insecure_syn. */
  insecureReset: boolean
  insecureSyn: boolean
  /**
   * SYN and FIN in one segment: opens a connection as any other SYN (`accept`, RFC 9293 section 3.10.7.2; the FIN must come again), opens none
   * (`refuse`, Linux), is dropped in every state (`drop`, FreeBSD drop_synfin).
   */
  synWithFin: 'accept' | 'refuse' | 'drop'
  /**
   * A SYN for a listener that may be of before is challenged by TIME-WAIT (RFC 5961 section 4); false: it is dropped (RFC 6191 section 2, FreeBSD).
   */
  timeWaitChallenge: boolean
  /** CLOSE with bytes unread resets (RFC 2525 section 2.17, RFC 9293 SHLD-3, Linux); false: it says FIN, and what comes later is reset (FreeBSD). */
  resetUnread: boolean
  /** An ACK of something new carries our FIN once more while that is not acknowledged. BSD. */
  finWithAck: boolean
  /** A reset tells our window like any segment (Linux); false: 0, for there is none any more (RFC 9293 section 3.10.7.1 leaves it open). */
  resetWindow: boolean
  /** Text of a SYN that crosses ours is kept (RFC 9293 section 3.10.7.3); false: it must come again (Linux). */
  keepCrossingText: boolean
  /** A reset is told as ECONNRESET also when both ends have said FIN (Linux, BSD); RFC 9293 section 3.10.7.4 just forgets the connection. */
  tellLateReset: boolean
  /**
   * Which of ICMP's errors about a SYN end the attempt at once: whatever says `unreachable` (Linux), what says no, told as ECONNREFUSED, or that the
   * way is endless (`refusal`: FreeBSD with icmp_may_rst), or `none`.
   */
  icmpEndsOpening: 'unreachable' | 'refusal' | 'none'
  /** Retransmissions of a SYN that still ask for RFC 3168 (its section 6.1.1.1 leaves it open), with `ecnFallback`. Linux 0, FreeBSD ecn.maxretries 1. */
  ecnSynRetries: number
  /** The first SYN-ACK of RFC 3168 is ECN-capable: RFC 5562. */
  ecnSynAck: boolean
  /** `ecnControlPackets` without RFC 9768, too, and for the SYN. FreeBSD ecn.plusplus 2. */
  ecnControlClassic: boolean
  /** With RFC 9768, the ACK of the peer's FIN counts as any other; false: it says nothing of ECN, as later ones from TIME-WAIT. FreeBSD. */
  ecnLastAck: boolean
  /** CWR also on a retransmission, where RFC 3168 section 6.1.2 waits for new data. FreeBSD. */
  cwrOnRetransmission: boolean
  /**
   * Fast Open: a server that gave no cookie, or did not take the data and gave no other one, is asked `again` next time, also by the experimental
   * option (Linux), or left alone for `fastOpenPauseMs` (`pause`: RFC 7413 section 4.1.3.1, FreeBSD).
   */
  fastOpenRefused: 'again' | 'pause'
}

export function tcpMannerDefaults(): TcpManners {
  return {
    wholeSegmentBuffers: false,
    windowSteps: 'large',
    windowRounding: 'up',
    ackWhenRead: true,
    acceptByBuffer: false,
    tolerateMissingTimestamps: true,
    insecureReset: false,
    insecureSyn: false,
    synWithFin: 'refuse',
    timeWaitChallenge: true,
    resetUnread: true,
    finWithAck: false,
    resetWindow: false,
    keepCrossingText: true,
    tellLateReset: false,
    icmpEndsOpening: 'unreachable',
    ecnSynRetries: 0,
    ecnSynAck: false,
    ecnControlClassic: false,
    ecnLastAck: true,
    cwrOnRetransmission: false,
    fastOpenRefused: 'again',
  }
}

/** Values that a word may have. */
export const MANNER_WORDS: { readonly [K in keyof TcpManners]?: readonly string[] } = {
  windowSteps: ['large', 'any'],
  windowRounding: ['up', 'down'],
  synWithFin: ['accept', 'refuse', 'drop'],
  fastOpenRefused: ['again', 'pause'],
  icmpEndsOpening: ['unreachable', 'refusal', 'none'],
}
