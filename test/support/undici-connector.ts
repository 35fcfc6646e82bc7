import type { buildConnector } from 'undici'
import type { NodeStack } from '../../src/node/stack.ts'

/** undici's own way to be given connections. */
export const connector =
  (stack: NodeStack): buildConnector.connector =>
  ({ hostname, port }, callback) => {
    const socket = stack.net.connect({ host: hostname, port: Number(port) || 80, noDelay: true })
    socket.once('connect', () => callback(null, socket as never)).once('error', (error) => callback(error, null))
  }
