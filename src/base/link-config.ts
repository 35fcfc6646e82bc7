/** Defaults of links that ride on streams and datagrams: tunnels, guests, VDE. Each is an option of the link that uses it. */

export const LINK_DEFAULTS = {
  /** Largest IP packet of a frame in bytes: Ethernet's own (RFC 894, RFC 2464). */
  mtuBytes: 1500,
  /** Frames gathered for one write to a stream: what a socket of Linux takes in one go (a 64 KiB super-segment, twice). */
  streamBatchBytes: 128 << 10,
  /** Bytes given to a stream and not yet taken by the system, before `send` refuses: 2 ms at 1 Gbit/s, so that no queue hides from those inside. */
  streamPendingBytes: 256 << 10,
  /** How long a stream may take to send what it has when its link is closed. */
  streamCloseMs: 500,
  /** How long a connection may take to come about, its TLS handshake apart. Linux alone would try for 127 s. */
  connectMs: 10_000,
  /** The first pause before a new connection, doubled each time up to the greatest, each shortened at random by up to a half. */
  reconnectFirstMs: 250,
  reconnectMostMs: 30_000,
  /** An empty frame after so long a silence of ours; RFC 8085 section 3.5: not under 15 s. */
  keepAliveMs: 15_000,
  /** Silent intervals of a peer that sends empty frames itself, after which it is taken for gone. */
  keepAliveMisses: 3,
  /** TCP's own keep-alive begins after this silence, for peers that send no empty frames. */
  tcpKeepAliveMs: 30_000,
  /** Datagrams given to a socket and not yet sent, and the bytes they may take, before `send` refuses. */
  datagramPending: 256,
  datagramPendingBytes: 512 << 10,
  /** So often it is looked whether another socket is at the path of a peer by UNIX datagrams, whose end nobody tells. */
  unixPeerCheckMs: 1000,
  /** What a datagram may be without being cut on its way, where nobody says otherwise: Ethernet's MTU. */
  carrierMtuBytes: 1500,
  /** Frames by messages that leave before others have had a turn: what a queue of frames holds. */
  messageBurstFrames: 256,
  /** The same of an emulator's card: 52 pages of an NE2000 are eight frames of 1514 bytes. */
  emulatorBurstFrames: 8,
  /** The turn of others: the shortest that timers of browsers and of Node know. */
  messageTickMs: 1,
  /** What may wait in the kernel at a packet socket: super-frames of some milliseconds at 10 Gbit/s. */
  packetBufferBytes: 4 << 20,
  /** Guests of one listening socket at a time. */
  maxGuests: 256,
} as const

/** VXLAN (RFC 7348). */
export const vxlanDefaults = {
  /** Section 5: assigned by IANA. */
  port: 4789,
  /** Hops of a multicast: no further than asked for. */
  ttl: 1,
  /** A MAC address is forgotten after so long without a frame from it. Linux FDB_AGE_DEFAULT. */
  expireSeconds: 300,
  /** Places in the table of who is where. */
  hashSize: 4096,
} as const
