/**
 * A connection as the script sees it, and its numbers on the wire.
 *
 * Theory of operation, packetdrill's. Packets of a script belong to the socket that it last dealt with ("socket under test"): the one made
 * last by `socket()`, or the child that the first packet to a listener makes. Sequence numbers of SYNs are absolute in the script, those of
 * all other packets relative to the SYN's. The peer's numbers are on the wire as the script has them; ours are learned from the first
 * packet that has them. Timestamps of ours are learned with every packet, so that an echo in the script finds what it echoes.
 */
import { ACK, SYN } from './ast.ts'
import type { LivePacket } from './live-packet.ts'
import type { PosixSocket } from './posix-socket.ts'

/** How far the handshake is, by what the script has shown of it. */
export type Phase =
  | 'new'
  | 'listening'
  | 'packet-received'
  | 'synack-sent'
  | 'synack-acked'
  | 'connecting'
  | 'syn-sent'
  | 'syn-acked'

export class Endpoint {
  phase: Phase = 'new'
  /** Of the script's file descriptor; null for a child that is not accepted yet. */
  socket: PosixSocket | null = null
  /** 0: not known yet. */
  localPort = 0
  remotePort = 0
  /** Ours, on the wire and in the script. */
  liveIss = 0
  scriptIss = 0
  /** Of our packets (IPv6); -1: none came yet. */
  flowLabel = -1
  /** The peer's: the same in both. */
  irs = 0
  /** Script value of our timestamps to that on the wire. */
  private readonly timestamps = new Map<number, number>()
  private firstScriptTs = 0
  private firstLiveTs = 0
  private hasTs = false

  /** What is added to the script's number of ours (an ACK of the peer, a SACK block) to have it on the wire. */
  localOffset(isSyn: boolean): number {
    return (isSyn ? this.liveIss - this.scriptIss : this.liveIss) | 0
  }

  /** The same for the peer's numbers. */
  remoteOffset(isSyn: boolean): number {
    return isSyn ? 0 : this.irs | 0
  }

  /** Belongs a packet of the stack to this connection? Learns the ports of a SYN. */
  owns(packet: LivePacket): boolean {
    const tcp = packet.body
    if (tcp.kind !== 'tcp') return tcp.kind === 'icmp'
    if (this.phase === 'syn-sent' && this.localPort === 0) {
      if ((tcp.flags & (SYN | ACK)) !== SYN || tcp.destinationPort !== this.remotePort) return false
      this.localPort = tcp.sourcePort
      this.liveIss = tcp.seq | 0
      return true
    }
    return tcp.sourcePort === this.localPort && tcp.destinationPort === this.remotePort
  }

  /** Remembers what our timestamp of the script is on the wire; returns the one on the wire as the script would write it. */
  learnTimestamp(script: number, live: number): number {
    this.timestamps.set(script >>> 0, live >>> 0)
    if (!this.hasTs) {
      this.hasTs = true
      this.firstScriptTs = script
      this.firstLiveTs = live
    }
    return this.scriptTimestamp(live)
  }

  /** Our timestamp on the wire as the script would write it. */
  scriptTimestamp(live: number): number {
    return this.hasTs ? (this.firstScriptTs + (live - this.firstLiveTs)) >>> 0 : live >>> 0
  }

  /** What is on the wire for an echo in the script; null: nobody can know. `scaled`: by the distance to the first one. */
  liveTimestamp(script: number, scaled: boolean): number | null {
    const exact = this.timestamps.get(script >>> 0)
    if (exact !== undefined) return exact
    return scaled && this.hasTs ? (script - this.firstScriptTs + this.firstLiveTs) >>> 0 : null
  }

  /** The socket was disconnected, and may be connected anew. What is still sent for the old connection belongs here. */
  forget(): void {
    this.phase = 'new'
  }

  /** A connect begins. */
  connecting(remotePort: number): void {
    this.phase = 'connecting'
    this.localPort = 0
    this.remotePort = remotePort
    this.irs = 0
    this.flowLabel = -1
  }
}
