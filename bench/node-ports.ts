/** Where the peer of the Node half serves what. */
export const PORTS = {
  echo: 7,
  http: 80,
  https: 443,
  /** Takes bytes; gives bytes: by shape of the socket. */
  sink: { raw: 9, net: 1009, web: 2009 },
  source: { raw: 19, net: 1019, web: 2019 },
} as const

/** The length of `/bulk`. */
export const BULK_BYTES = 16_777_216
