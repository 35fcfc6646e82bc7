/**
 * Whose stack a script was written for, as plain data: values of the config, and what that system's sockets answer. Nothing in the stack
 * knows of them.
 */
import type { ConfigOverrides } from '../../base/config.ts'
import type { Platform } from './ast.ts'
import type { Settings } from './settings.ts'

export interface Profile {
  /** For messages. */
  readonly name: ProfileName
  /** Whose numbers and sysctls are meant. */
  readonly platform: Platform
  readonly config: ConfigOverrides
  readonly settings: Partial<Settings>
  readonly sockets: SocketManners
  /** Does packetdrill there compare what we echo of the peer's timestamps? google's does not, nplab's does. */
  readonly checkEcho: boolean
  /** Does the system set PSH in the middle of a stream, where the application did nothing? */
  readonly pushesInStream: boolean
}

/** What the system's calls answer where POSIX leaves it open. */
export interface SocketManners {
  /** Added to what `listen` is told. Linux accepts one more. */
  backlogExtra: number
  /** SO_SNDBUF and SO_RCVBUF: what is asked for is multiplied by this before it is answered (Linux counts overhead). */
  bufferFactor: number
  minSendBuffer: number
  minReceiveBuffer: number
  /** `write` on a socket that was never connected. */
  unconnectedWrite: 'EPIPE' | 'ENOTCONN'
  /** Time for a handshake, TCP_KEEPINIT; 0: there is no such thing. */
  connectLimitMs: number
  /** A reset after the peer's FIN is told as. */
  resetAfterFin: 'EPIPE' | 'ECONNRESET'
}

/** Whose behaviour a script expects. */
export type ProfileName = 'linux' | 'freebsd' | 'rfc'

const LINUX_SOCKETS: SocketManners = {
  backlogExtra: 1,
  bufferFactor: 2,
  minSendBuffer: 4608,
  minReceiveBuffer: 2304,
  unconnectedWrite: 'EPIPE',
  connectLimitMs: 0,
  resetAfterFin: 'EPIPE',
}

/** Linux 6.12 with the settings that packetdrill's scripts assume (`defaults.sh`). */
const LINUX: Profile = {
  name: 'linux',
  platform: 'linux',
  config: {
    tcp: {
      initialWindowSegments: 10,
      delayedAckMs: 40,
      doubtPathMtu: false,
      mtuProbing: 0,
      windowSteps: 'any',
      ecnControlPackets: true,
      rtoInitialMs: 1000,
      rtoMinMs: 200,
      rtoMaxMs: 120_000,
      sendBufferInitialBytes: 256 << 10,
      sendBufferMaxBytes: 4 << 20,
      // tcp_rmem max 15 MiB gives window scale 8; 540000 less its overhead gives the first window of 65535.
      receiveBufferInitialBytes: 270_000,
      receiveBufferMaxBytes: 15 << 20,
      hystart: 'delay',
      resetWindow: true,
      keepCrossingText: false,
    },
  },
  settings: {},
  sockets: LINUX_SOCKETS,
  checkEcho: false,
  pushesInStream: true,
}

/** FreeBSD 14 with the settings that the tcp-testsuite assumes. */
const FREEBSD: Profile = {
  name: 'freebsd',
  platform: 'freebsd',
  config: {
    tcp: {
      initialWindowSegments: 10,
      // What its scripts expect; 40 ms since FreeBSD 14.
      delayedAckMs: 100,
      delayedAckMaxMs: 100,
      abcLimit: 2,
      nagle: 'rfc',
      doubtPathMtu: false,
      mtuProbing: 0,
      windowSteps: 'any',
      windowRounding: 'down',
      wholeSegmentBuffers: true,
      acceptByBuffer: true,
      ackWhenRead: false,
      tolerateMissingTimestamps: false,
      synWithFin: 'accept',
      timeWaitChallenge: false,
      resetUnread: false,
      tellLateReset: true,
      icmpEndsOpening: 'refusal',
      ecnSynRetries: 1,
      ecnLastAck: false,
      cwrOnRetransmission: true,
      fastOpenRefused: 'pause',
      // Its default stack has neither; RACK is another one that can be loaded.
      rack: false,
      tailLossProbe: false,
      frto: false,
      finWithAck: true,
      quickAcks: 0,
      synOptions: 'mss | nop wscale | sackOK TS | nop nop TS | sackOK | FO | eol*',
      rtoInitialMs: 1000,
      rtoMinMs: 230,
      rtoMaxMs: 64_000,
      timeWaitMs: 60_000,
      keepAliveIdleMs: 7_200_000,
      keepAliveIntervalMs: 75_000,
      keepAliveProbes: 8,
      sendBufferInitialBytes: 32 << 10,
      sendBufferMaxBytes: 2 << 20,
      receiveBufferInitialBytes: 64 << 10,
      receiveBufferMaxBytes: 2 << 20,
    },
  },
  settings: {},
  sockets: {
    backlogExtra: 0,
    bufferFactor: 1,
    minSendBuffer: 1,
    minReceiveBuffer: 1,
    unconnectedWrite: 'ENOTCONN',
    connectLimitMs: 75_000,
    resetAfterFin: 'ECONNRESET',
  },
  checkEcho: true,
  pushesInStream: false,
}

/** What the RFCs say where kernels have ideas of their own. */
const RFC: Profile = {
  name: 'rfc',
  platform: 'linux',
  config: {
    tcp: {
      initialWindowSegments: 10,
      delayedAckMs: 200,
      nagle: 'rfc',
      quickAcks: 0,
      ackWhenRead: false,
      rtoInitialMs: 1000,
      rtoMinMs: 1000,
      rtoMaxMs: 60_000,
      timeWaitMs: 240_000,
      congestion: 'newreno',
    },
  },
  settings: {},
  sockets: { ...LINUX_SOCKETS, backlogExtra: 0, bufferFactor: 1, resetAfterFin: 'ECONNRESET' },
  checkEcho: true,
  pushesInStream: false,
}

export const PROFILES: { readonly [K in ProfileName]: Profile } = { linux: LINUX, freebsd: FREEBSD, rfc: RFC }
