/** Limits of the multiplexer (src/mux). */
export const muxConfig = {
  /** Clients of one multiplexer at a time. Ours; ORe's was fixed when it was compiled (ORE_CONFIG_MAX_CONNECTIONS). */
  maxClients: 1024,
  /** Multicast addresses in one client's list. Ours; network cards have 16 to 256 before they hear everything. */
  maxGroups: 256,
  /** Frames taken from a device before the event loop is given to others: as many as the stack's turn takes. */
  receiveBudgetFrames: 64,
  /** Bytes of the ring of shared memory in each direction of a client in a worker: a few super-frames of 64 KiB. Ours. */
  ringBytes: 1 << 20,
  /** Longest control message on the socket, in bytes: a list of `maxGroups` addresses and then some. Ours. */
  maxControlBytes: 16 << 10,
  /** Control messages that wait for room on the socket; who asks for more meanwhile loses them. */
  maxControls: 64,
  /** Questions of one client elsewhere that wait for their answer; fewer than `maxControls`, so that there is room for all answers. Ours. */
  maxQuestions: 32,
}
