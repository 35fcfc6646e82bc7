/** `connection.info()`: what `ss -ti` shows, as a plain object. */

import { endpointText } from '../ip/zone.ts'
import { ackDelay } from './ack-policy.ts'
import type { ConnectionInfo } from './api.ts'
import type { Connection } from './connection.ts'
import { Rtx } from './deadlines.ts'
import { LOST, RETRANSMITTED, SACKED } from './flight-record.ts'
import { RECOVERY_NAMES } from './recovery.ts'
import type { Sender } from './sender.ts'
import { State } from './state.ts'

export function describeConnection(c: Connection): ConnectionInfo {
  const { snd, rcv, rto } = c
  c.tcp.clock.readClock() // the last turn may be long ago; asking for one would make a loop of whoever waits for what is told here
  const { nowMs } = c.tcp.clock
  return {
    state: c.stateName,
    local: endpointText(c.tcp.ip, c.localAddress, c.localPort),
    remote: endpointText(c.tcp.ip, c.remoteAddress, c.remotePort),
    mss: snd.mss,
    receiveMss: rcv.mss,
    announcedMss: c.announcedMss,
    pathMtu: c.route.mtu,
    rttUs: rto.srttUs,
    rttVarUs: rto.rttVarUs,
    minRttUs: rto.minRttUs,
    rtoMs: rto.ms,
    backoff: rto.backoff,
    cwnd: snd.window.cwnd,
    ssthresh: snd.window.ssthresh,
    congestion: snd.control.name,
    recovery: RECOVERY_NAMES[snd.recovery.state],
    bytesInFlight: snd.inFlight,
    sendWindow: snd.wnd,
    receiveWindow: rcv.window,
    sendScale: snd.scale,
    receiveScale: rcv.scale,
    sack: c.sackPermitted,
    timestamps: c.timestamps,
    sndUna: snd.una >>> 0,
    sndNxt: snd.nxt >>> 0,
    rcvNxt: rcv.nxt >>> 0,
    sendQueue: snd.ring.length,
    receiveQueue: rcv.ring.length,
    sendBufferBytes: snd.limit,
    receiveBufferBytes: rcv.limit,
    retransmits: snd.retransmits,
    retransmittedBytes: snd.retransmittedBytes,
    lost: snd.flight.lostBytes,
    sacked: snd.flight.sackedBytes,
    dsacks: c.dsacks,
    bytesSent: snd.bytesSent,
    bytesAcked: snd.bytesAcked,
    bytesReceived: rcv.bytesReceived,
    segmentsIn: c.segmentsIn,
    segmentsOut: c.segmentsOut,
    dataSegmentsIn: c.dataSegmentsIn,
    dataSegmentsOut: c.dataSegmentsOut,
    unackedSegments: segments(snd, 0, 0),
    sackedSegments: segments(snd, SACKED, SACKED),
    lostSegments: segments(snd, LOST, LOST),
    retransSegments: segments(snd, RETRANSMITTED, RETRANSMITTED),
    reordering: snd.recovery.detector.reordering,
    reorderingSeen: snd.recovery.detector.reorderingSeen,
    delivered: snd.bytesAcked + snd.flight.sackedBytes,
    deliveredCe: c.ecn === null ? 0 : c.ecn.deliveredCe,
    ecnReport: c.ecn === null || c.ecn.accurate === null ? null : c.ecn.accurate.report(),
    deliveryRate: Math.floor(snd.rate.bytesPerSecond),
    deliveryRateAppLimited: snd.rate.lastWasLimited,
    pacingRate: snd.pacingRate,
    busyMs: snd.chrono === null ? 0 : snd.chrono.busyMs(nowMs),
    windowLimitedMs: snd.chrono === null ? 0 : snd.chrono.windowMs(nowMs),
    bufferLimitedMs: snd.chrono === null ? 0 : snd.chrono.bufferMs(nowMs),
    notSentBytes: c.state < State.ESTABLISHED ? snd.ring.length : snd.unsent,
    atoMs: rcv.ato === 0 ? 0 : ackDelay(c),
    receiveRttUs: rcv.sizing === null ? 0 : rcv.sizing.rttUs,
    lastDataSentMs: (nowMs - snd.lastSendMs) | 0,
    lastDataReceivedMs: (nowMs - rcv.lastDataMs) | 0,
    lastReceivedMs: (nowMs - c.lastReceivedMs) | 0,
    ecn: ecnName(c),
    fastOpen: c.fastOpen === null ? 'none' : c.fastOpen.state,
    fastOpenBytes: c.fastOpen === null ? 0 : c.fastOpen.synBytes,
    softError: c.softError,
    retries: c.deadlines.rtx === Rtx.PERSIST ? 0 : c.deadlines.retries,
    probes: c.deadlines.probes,
    signed: c.keys === null ? 'none' : c.keys.name,
  }
}

function ecnName(c: Connection): ConnectionInfo['ecn'] {
  if (c.ecn === null || c.state < State.SYN_RECEIVED) return 'off'
  return c.ecn.accurate === null ? 'classic' : 'accurate'
}

/** Segments of the flight log whose flags under `mask` are `flags`; a record longer than a segment stands for several. */
function segments(snd: Sender, mask: number, flags: number): number {
  const { flight, mss } = snd
  let n = 0
  for (let i = 0; i < flight.count; i++) {
    if ((flight.flagsOf(i) & mask) === flags) n += Math.ceil(((flight.endOf(i) - flight.startOf(i)) | 0) / mss)
  }
  return n
}
