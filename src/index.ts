/**
 * `tapstack` for Node, batteries included: everything of the pure core, a stack whose `net`, `dgram` and `http` have Node's own shape, and
 * the links that need Node (tap, tun). The entry points without Node are `tapstack/core` and `tapstack/sim`.
 *
 * `createStack`, `createSwitch`, `createHub` and `capture` are Node's own here: the host is Node, and a capture may go to a file by name.
 */

// Links
export { openUtun, type UtunOptions } from './backend/bsd-device.ts'
export {
  DatagramLink,
  type DatagramLinkOptions,
  type DatagramOutlet,
  type DatagramProtocol,
  type DatagramSocket,
  type DatagramSource,
} from './backend/datagram-link.ts'
export type { LinkChange } from './backend/dialer.ts'
export { type Guest, GuestServer, type GuestServerOptions, type GuestTarget, guestServer } from './backend/guest-server.ts'
export { type GuestSocketOptions, openSocketLink } from './backend/guest-socket.ts'
export { type MuxConnectOptions, openMux } from './backend/mux-client.ts'
export { type MuxPlace, MuxServer, type MuxServerOptions, muxPath, serveMux } from './backend/mux-server.ts'
export { type MuxTicket, openSharedMux, shareMux } from './backend/mux-worker.ts'
export { type OpenLinkOptions, openLink } from './backend/open-link.ts'
export type { StreamHalves } from './backend/open-stream.ts'
export { openPacket, type PacketOptions } from './backend/packet.ts'
export { openStdio, type StdioOptions } from './backend/stdio.ts'
export { type Carrier as StreamCarrier, openStreamLink, StreamLink, type StreamLinkOptions } from './backend/stream-link.ts'
export type { StreamNet, StreamPlace, StreamTls } from './backend/stream-socket.ts'
export { openTap, openTun, type TapNetIf, type TapOptions } from './backend/tap.ts'
export { openTunnel, type TunnelOptions } from './backend/tunnel.ts'
export { openTuntap2, type Tuntap2 } from './backend/tuntap2.ts'
export { openUdpLink, type UdpLinkOptions } from './backend/udp-link.ts'
export { openUnixgramLink, type UnixgramLinkOptions } from './backend/unixgram.ts'
export { openVde, type VdeOptions } from './backend/vde.ts'
export { serveVde, type VdeServer, type VdeServerOptions, type VdeTarget, type VdeVisitor } from './backend/vde-server.ts'
export { openVxlan, type VxlanOptions } from './backend/vxlan.ts'
export { openVxvde, type VxvdeOptions } from './backend/vxvde.ts'
export { openWebSocketLink, type WebSocketOptions } from './backend/websocket.ts'
export * from './core.ts'
export { capture, openCapture } from './node/capture-file.ts'
// Sockets in Node's shape
export type { ConnectOptions } from './node/connect.ts'
export type { LookupCallback, LookupFamily, LookupFunction, LookupOptions, NodeDeps } from './node/deps.ts'
export type { DgramModule, DgramOptions, DgramSocket, MessageListener, RemoteInfo, SocketType } from './node/dgram.ts'
export { type JournalOptions, lease6File, lease6Journal, leaseFile, leaseJournal } from './node/dhcp-store.ts'
export type { DnsModule, ResolverOptions, TlsaRecord } from './node/dns.ts'
export type { Connector, ConnectorCallback, ConnectorOptions, ConnectSettings, UndiciOnStack } from './node/fetch.ts'
export { NodeHost, nodeHost, nodeRandom } from './node/host.ts'
export type { HttpModule, HttpServerOptions } from './node/http.ts'
export { createMux } from './node/mux.ts'
export type { ConnectionListener, NetModule } from './node/net.ts'
export type { RegisteredModule, RegisterOptions, Registration } from './node/register.ts'
export type { ListenOptions as NetListenOptions, Server, ServerOptions } from './node/server.ts'
export type { Socket } from './node/socket.ts'
export type { OnReadOptions, SocketOptions } from './node/socket-args.ts'
// A stack
export { createStack, NodeStack, type StackOptions } from './node/stack.ts'
// A switch
export { createHub, createSwitch } from './node/switch.ts'
