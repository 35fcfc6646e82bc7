/** What `%{ }%` blocks may ask: Linux's and FreeBSD's tcp_info from `connection.info()`, and the names of its values. */
import type { ConnectionInfo } from '../../tcp/api.ts'
import type { PosixSocket } from './posix-socket.ts'

const STATES: { readonly [name: string]: number } = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
}

const STATE_NUMBERS: { readonly [state: string]: number } = {
  ESTABLISHED: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  'FIN-WAIT-1': 4,
  'FIN-WAIT-2': 5,
  'TIME-WAIT': 6,
  CLOSED: 7,
  'CLOSE-WAIT': 8,
  'LAST-ACK': 9,
  LISTEN: 10,
  CLOSING: 11,
}

/** nplab's names of them. */
const FREEBSD_STATES: { readonly [name: string]: number } = {
  TCPI_CLOSED: 7,
  TCPI_LISTEN: 10,
  TCPI_SYN_SENT: 2,
  TCPI_SYN_RECEIVED: 3,
  TCPI_ESTABLISHED: 1,
  TCPI_CLOSE_WAIT: 8,
  TCPI_FIN_WAIT_1: 4,
  TCPI_CLOSING: 11,
  TCPI_LAST_ACK: 9,
  TCPI_FIN_WAIT_2: 5,
  TCPI_TIME_WAIT: 6,
}

const CONSTANTS: { readonly [name: string]: number } = {
  ...STATES,
  ...FREEBSD_STATES,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
}

const RECOVERY: { readonly [state: string]: number } = { open: 0, disorder: 1, cwr: 2, recovery: 3, loss: 4 }

/** Linux's idea of "not yet": ssthresh before the first loss. */
const INFINITE_SSTHRESH = 0x7fffffff

function options(i: ConnectionInfo): number {
  return (
    (i.timestamps ? 1 : 0) |
    (i.sack ? 2 : 0) |
    (i.sendScale > 0 || i.receiveScale > 0 ? 4 : 0) |
    (i.ecn !== 'off' ? 8 : 0) |
    (i.fastOpen === 'accepted' || i.fastOpen === 'received' ? 32 : 0)
  )
}

/** Linux counts the SYN, and what it carried with it. */
function delivered(i: ConnectionInfo): number {
  const withSyn = i.fastOpen === 'accepted' ? i.fastOpenBytes : 0
  const isOpen = i.state !== 'SYN-SENT' && i.state !== 'SYN-RECEIVED' && i.state !== 'CLOSED'
  return Math.ceil(Math.max(0, i.delivered - withSyn) / i.mss) + (isOpen ? 1 : 0)
}

function segments(bytes: number, mss: number): number {
  return bytes >= INFINITE_SSTHRESH ? INFINITE_SSTHRESH : Math.floor(bytes / mss)
}

const FIELDS: { readonly [name: string]: (i: ConnectionInfo) => number } = {
  tcpi_state: (i) => STATE_NUMBERS[i.state] ?? 7,
  tcpi_ca_state: (i) => RECOVERY[i.recovery] ?? 0,
  tcpi_retransmits: (i) => i.retries,
  tcpi_probes: (i) => i.probes,
  tcpi_backoff: (i) => i.backoff,
  tcpi_options: options,
  tcpi_snd_wscale: (i) => i.sendScale,
  tcpi_rcv_wscale: (i) => i.receiveScale,
  tcpi_delivery_rate_app_limited: (i) => (i.deliveryRateAppLimited ? 1 : 0),
  tcpi_rto: (i) => i.rtoMs * 1000,
  tcpi_ato: (i) => i.atoMs * 1000,
  tcpi_snd_mss: (i) => i.mss,
  tcpi_rcv_mss: (i) => i.receiveMss,
  tcpi_unacked: (i) => i.unackedSegments,
  tcpi_sacked: (i) => i.sackedSegments,
  tcpi_lost: (i) => i.lostSegments,
  tcpi_retrans: (i) => i.retransSegments,
  tcpi_fackets: () => 0,
  tcpi_pmtu: (i) => i.pathMtu,
  tcpi_rtt: (i) => i.rttUs,
  tcpi_rttvar: (i) => i.rttVarUs,
  tcpi_min_rtt: (i) => i.minRttUs,
  tcpi_snd_ssthresh: (i) => segments(i.ssthresh, i.mss),
  tcpi_snd_cwnd: (i) => segments(i.cwnd, i.mss),
  // Linux counts without timestamps, as it does for the other direction.
  tcpi_advmss: (i) => i.announcedMss - (i.timestamps ? 12 : 0),
  tcpi_reordering: (i) => i.reordering,
  tcpi_reord_seen: (i) => i.reorderingSeen,
  tcpi_total_retrans: (i) => i.retransmits,
  tcpi_bytes_retrans: (i) => i.retransmittedBytes,
  tcpi_pacing_rate: (i) => i.pacingRate,
  tcpi_rcv_rtt: (i) => i.receiveRttUs,
  tcpi_rcv_space: (i) => i.receiveBufferBytes,
  tcpi_rcv_ssthresh: (i) => i.receiveWindow,
  tcpi_rcv_wnd: (i) => i.receiveWindow,
  tcpi_snd_wnd: (i) => i.sendWindow,
  tcpi_bytes_acked: (i) => i.bytesAcked,
  tcpi_bytes_received: (i) => i.bytesReceived,
  tcpi_bytes_sent: (i) => i.bytesSent,
  tcpi_segs_out: (i) => i.segmentsOut,
  tcpi_segs_in: (i) => i.segmentsIn,
  tcpi_data_segs_in: (i) => i.dataSegmentsIn,
  tcpi_data_segs_out: (i) => i.dataSegmentsOut,
  tcpi_last_data_sent: (i) => i.lastDataSentMs,
  tcpi_last_data_recv: (i) => i.lastDataReceivedMs,
  tcpi_last_ack_recv: (i) => i.lastReceivedMs,
  tcpi_notsent_bytes: (i) => i.notSentBytes,
  tcpi_delivery_rate: (i) => i.deliveryRate,
  tcpi_busy_time: (i) => i.busyMs * 1000,
  tcpi_rwnd_limited: (i) => i.windowLimitedMs * 1000,
  tcpi_sndbuf_limited: (i) => i.bufferLimitedMs * 1000,
  tcpi_delivered: delivered,
  tcpi_delivered_ce: (i) => i.ecnReport?.deliveredCePackets ?? Math.ceil(i.deliveredCe / i.mss),
  tcpi_received_ce: (i) => i.ecnReport?.receivedCePackets ?? 0,
  tcpi_delivered_ce_bytes: (i) => i.ecnReport?.deliveredCeBytes ?? 0,
  tcpi_delivered_e0_bytes: (i) => i.ecnReport?.deliveredEct0Bytes ?? 0,
  tcpi_delivered_e1_bytes: (i) => i.ecnReport?.deliveredEct1Bytes ?? 0,
  tcpi_received_ce_bytes: (i) => i.ecnReport?.receivedCeBytes ?? 0,
  tcpi_received_e0_bytes: (i) => i.ecnReport?.receivedEct0Bytes ?? 0,
  tcpi_received_e1_bytes: (i) => i.ecnReport?.receivedEct1Bytes ?? 0,
  tcpi_dsack_dups: (i) => i.dsacks,
  // FreeBSD's own.
  tcpi_snd_nxt: (i) => i.sndNxt,
  tcpi_rcv_nxt: (i) => i.rcvNxt,
  tcpi_snd_rexmitpack: (i) => i.retransmits,
}

/** Linux's SK_MEMINFO: the limits of the buffers, as getsockopt gives them; what is in use is counted otherwise there. */
export function memoryValue(name: string, socket: PosixSocket | null): number | undefined {
  const option =
    name === 'SK_MEMINFO_RCVBUF' ? 'receiveBufferBytes' : name === 'SK_MEMINFO_SNDBUF' ? 'sendBufferBytes' : undefined
  if (option === undefined || socket === null) return undefined
  return Number(socket.remembered.get(option) ?? socket.connection?.info()[option] ?? 0)
}

/** The value of a name, or undefined where neither kernel has it. `info` null: there is no connection. */
export function infoValue(name: string, info: ConnectionInfo | null): number | undefined {
  const constant = CONSTANTS[name]
  if (constant !== undefined) return constant
  const read = FIELDS[name]
  if (read === undefined) return undefined
  // A socket that is no connection yet answers, too: closed, and all else zero.
  if (info === null) return name === 'tcpi_state' ? STATES.TCP_CLOSE : 0
  return read(info)
}
