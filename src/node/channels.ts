/** What Node tells of its sockets by `diagnostics_channel`, told of ours under the same names. */
import { channel } from 'node:diagnostics_channel'

/** `net.connect`, before the socket connects. */
export const clientSocket = channel('net.client.socket')
/** A server has accepted; after 'connection'. */
export const serverSocket = channel('net.server.socket')
/** A datagram socket was made. */
export const udpSocket = channel('udp.socket')
/** `server.listen`: called, done, failed. */
export const listenStart = channel('tracing:net.server.listen:asyncStart')
export const listenEnd = channel('tracing:net.server.listen:asyncEnd')
export const listenError = channel('tracing:net.server.listen:error')
