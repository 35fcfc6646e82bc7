/** `connection.info()`: what `ss -ti` shows, as a plain object. */
import type { ConnectionInfo } from './api.ts'
import type { Connection } from './connection.ts'
import { RECOVERY_NAMES } from './recovery.ts'

export function describeConnection(c: Connection): ConnectionInfo {
  const { snd, rcv, rto } = c
  return {
    state: c.stateName,
    local: endpoint(c.localAddress.toString(), c.localPort),
    remote: endpoint(c.remoteAddress.toString(), c.remotePort),
    mss: snd.mss,
    receiveMss: rcv.mss,
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
  }
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
