/** Settings of sockets in the web's shape (src/web). */
export const webDefaults = {
  /** How long one address of a name is tried before the next is tried beside it. RFC 8305 section 5: 250 ms recommended. */
  attemptDelayMs: 250,
  /** The most that one chunk of a readable stream holds when the reader brings no buffer. Each costs a microsecond of the platform's streams. */
  chunkBytes: 262_144,
  /** TCP_NOTSENT_LOWAT of sockets that do not say: what TCP has not sent is better left with the application, which can still change its mind. */
  notSentLowatBytes: 262_144,
  /** Bytes that wait in a writable stream, besides those that TCP took, before `writer.ready` waits. Linux's tcp_wmem default is 16 KiB. */
  writableBytes: 16_384,
  /** Datagrams that wait in a writable stream before `writer.ready` waits. */
  writableDatagrams: 64,
} as const
