/**
 * `tapstack` for Node, batteries included: a stack whose `net`, `dgram` and `http` have Node's own shape, links that need Node (tap,
 * tun), and everything of the pure core. The entry points without Node are `tapstack/core` and `tapstack/sim`.
 */

// Links
export { openLink } from './backend/open-link.ts'
export { openTap, openTun, type TapNetIf, type TapOptions } from './backend/tap.ts'
export { Address, address, Prefix, parseAddress, prefix } from './base/address.ts'
export type { Host, Task, TimerHandle } from './base/clock.ts'
export { type Config, type ConfigOverrides, defaults } from './base/config.ts'
export { type ErrorPlace, NetError } from './base/errors.ts'
export { type Random, SeededRandom } from './base/random.ts'
export { Ping, type PingHandler } from './icmp/ping.ts'
export { type PingOptions, type PingReply, type PingResult, ping } from './icmp/ping-iterator.ts'
// Looking
export type { CaptureOptions } from './link/capture.ts'
export { type FaultLink, fault } from './link/fault.ts'
export { FrameQueue } from './link/frame-queue.ts'
export type { FaultOptions, Impairments } from './link/impairments.ts'
export { createLoopback, type LoopbackOptions } from './link/loopback.ts'
export { createPipe, type PipeOptions } from './link/pipe.ts'
export { HEADROOM, type Medium, type NetIf, type NetIfSink, Offload } from './netif/netif.ts'
export { capture, openCapture } from './node/capture-file.ts'
// Sockets in Node's shape
export type { ConnectOptions, LookupFunction } from './node/connect.ts'
export type { LookupFamily, NodeDeps } from './node/deps.ts'
export type { DgramModule, DgramOptions, DgramSocket, RemoteInfo } from './node/dgram.ts'
export { NodeHost, nodeRandom } from './node/host.ts'
export type { HttpModule } from './node/http.ts'
export type { NetModule } from './node/net.ts'
export type { ListenOptions, Server, ServerOptions } from './node/server.ts'
export type { Socket, SocketOptions } from './node/socket.ts'
// A stack
export { createStack, NodeStack, type StackOptions } from './node/stack.ts'
export { withoutOffload } from './offload/soften.ts'
export { AttachedInterface, type AttachOptions } from './stack/attached.ts'
export { Stack, type StackPlatform } from './stack/stack.ts'
// Sockets in the raw shape
export type {
  ConnectionHandler,
  ConnectionInfo,
  ListenerHandler,
  ListenOptions as RawListenOptions,
  OpenOptions,
  RawConnection,
  RawListener,
  RawTcp,
} from './tcp/api.ts'
export { dissect } from './trace/dissect.ts'
export { type ByteTarget, PcapngWriter } from './trace/pcapng.ts'
export { Datagram } from './udp/receive-queue.ts'
export type { UdpHandler, UdpOptions, UdpSocket } from './udp/socket.ts'
