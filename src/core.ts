/**
 * `tapstack/core`: the pure stack. Nothing in here, nor in what it imports, is Node's: it runs in browsers, workers, Deno and Bun.
 */

// Addresses, buffers, time, randomness, configuration, errors
export type { AbortLike } from './base/abort.ts'
export { Address, address, Prefix, parseAddress, prefix } from './base/address.ts'
export { allocate } from './base/arena.ts'
export type { ArpConfig } from './base/arp-config.ts'
export type { Host, Task, TimerHandle } from './base/clock.ts'
export { type Config, type ConfigOverrides, defaults, type TcpConfig, type TurnConfig, type UdpConfig } from './base/config.ts'
export type { DhcpConfig } from './base/dhcp-config.ts'
export type { Dhcp6Config } from './base/dhcp6-config.ts'
export type { DnsConfig } from './base/dns-config.ts'
export type { DnsServerConfig } from './base/dns-server-config.ts'
export { type ErrorPlace, NetError } from './base/errors.ts'
export type { FilterConfig } from './base/filter-config.ts'
export type { ForwardConfig } from './base/forward-config.ts'
export type { IcmpConfig, Ipv4Config } from './base/ipv4-config.ts'
export type { Ipv6Config, NdConfig } from './base/ipv6-config.ts'
export type { MdnsConfig } from './base/mdns-config.ts'
export type { MulticastConfig } from './base/multicast-config.ts'
export { type Random, SeededRandom } from './base/random.ts'
// Switches
export type { SwitchConfig } from './base/switch-config.ts'
// DHCP
export type { DhcpOptions } from './dhcp/client-options.ts'
export type { ClientState as DhcpState, LeaseEvent } from './dhcp/client-site.ts'
export type { Lease, LeaseStore } from './dhcp/lease.ts'
export type { FqdnOption, OptionName as DhcpOptionName, OptionValues as DhcpOptionValues, RouteOption } from './dhcp/options.ts'
export type { DhcpServer, ServerEvent as DhcpServerEvent } from './dhcp/server.ts'
export type {
  DhcpServerNetwork,
  DhcpServerOptions,
  DhcpServerStore,
  LeaseRecord,
  Reservation as DhcpReservation,
} from './dhcp/server-options.ts'
// DHCPv6
export type { DelegateOptions, Dhcp6Options } from './dhcp6/client-options.ts'
export type { Client6State as Dhcp6State } from './dhcp6/client-site.ts'
export { describeDuid, formatDuid, makeDuid, parseDuid, readDuid } from './dhcp6/duid.ts'
export type { DelegatedPrefix, Kept6, Lease6, Lease6Store, LeasedAddress } from './dhcp6/lease.ts'
export type { Option6Name as Dhcp6OptionName, Option6Values as Dhcp6OptionValues } from './dhcp6/options.ts'
export type { Dhcp6Server } from './dhcp6/server.ts'
export type {
  Dhcp6Reservation,
  Dhcp6ServerNetwork,
  Dhcp6ServerOptions,
  Dhcp6ServerStore,
  Lease6Record,
  Server6Record,
} from './dhcp6/server-options.ts'
// Names
export {
  type LookupOptions as NameLookupOptions,
  type LookupResult as NameLookupResult,
  lookup as lookupName,
} from './dns/lookup.ts'
export {
  decodeMessage as decodeDnsMessage,
  encodeMessage as encodeDnsMessage,
  type Message as DnsMessage,
} from './dns/message.ts'
export type { DnsCode, Outcome as DnsOutcome } from './dns/outcome.ts'
export type { RecordFields as DnsRecordFields, ResourceRecord as DnsRecord } from './dns/records.ts'
export { type NameSource, Resolver as DnsResolver, type ResolverDeps as DnsResolverDeps } from './dns/resolver.ts'
export type { AccessRule as DnsAccessRule } from './dns/server/access.ts'
export type { ForwardOption as DnsForwardOption } from './dns/server/forwarder.ts'
export type { LeaseSource, NamedLease } from './dns/server/leases.ts'
export type { DnsServer } from './dns/server/server.ts'
export { Zone as DnsZone, type ZoneSource as DnsZoneSource, type ZoneTable as DnsZoneTable } from './dns/server/zone.ts'
export { dataText as dnsRecordText } from './dns/text.ts'
export { formatMac, parseMac } from './ethernet/mac.ts'
// Groups and VLANs
export { VlanLink, type VlanProtocol, type VlanTagOptions } from './ethernet/vlan.ts'
// Packet filter
export type { Filter, RuleOptions } from './filter/filter.ts'
export type { TrackedConnection, TrackedDirection } from './filter/listing.ts'
export type { Match, OneOrMore, ProtocolName, StateName } from './filter/match.ts'
export type { DnatOptions, MasqueradeOptions, NatMatch, RedirectOptions, SnatOptions, SourceMatch } from './filter/nat-rule.ts'
export type { HookName, RejectKind, RuleHandle, Verdict, VerdictFunction } from './filter/rule.ts'
export type { FilterPacket } from './filter/view.ts'
export { WebHost, type WebPlatform, WebRandom } from './host-web/web-host.ts'
export type { ByteReadable, Bytes, ChunkReadable, ChunkWritable } from './host-web/web-streams.ts'
export { Ping, type PingHandler, type PingSettings } from './icmp/ping.ts'
export {
  type PingFailure,
  type PingReply,
  type PingResult,
  ping,
} from './icmp/ping-iterator.ts'
// What IP knows of an interface (`eth0.iface`)
export type { Interface, InterfaceAddress } from './ip/interface.ts'
export type { RouteType } from './ip/route.ts'
// Links in memory and around others
export { type BroadcastChannelLike, broadcastChannelLink } from './link/broadcast-channel.ts'
export { type CaptureOptions, capture } from './link/capture.ts'
export { type FaultLink, fault } from './link/fault.ts'
export { FrameQueue } from './link/frame-queue.ts'
export { type Framing, U16BE, U16LE, U32BE } from './link/framing.ts'
export type { Direction, FaultOptions, FrameFilter, Impairments } from './link/impairments.ts'
export { createLoopback, type LoopbackOptions } from './link/loopback.ts'
export type { MessageLinkOptions } from './link/message-link.ts'
export { createPipe, type PipeOptions } from './link/pipe.ts'
export { type Splice, type SpliceOptions, splice } from './link/splice.ts'
export { type V86Like, type V86LinkOptions, v86Link } from './link/v86.ts'
// Names and services of the link
export type { BrowseEvent, Browser as MdnsBrowser } from './mdns/browser.ts'
export type { ServiceInfo } from './mdns/instance.ts'
export type { Mdns } from './mdns/mdns.ts'
export type { Publication, PublishOptions } from './mdns/service.ts'
export type { Txt, TxtInput } from './mdns/txt.ts'
export type { GroupSummary } from './multicast/multicast.ts'
// The multiplexer
export type { MuxClient } from './mux/client.ts'
export { createMux } from './mux/create.ts'
export type { FramePredicate, MuxFilter, MuxSwitches } from './mux/filter.ts'
export { oreMac } from './mux/mac-policy.ts'
export { findMux, Mux, type MuxOpenOptions, type MuxOptions, type MuxPlatform } from './mux/mux.ts'
export type { RemoteMuxClient, RemoteOpenOptions } from './mux/remote.ts'
// What routers say
export type { AdvertisedPrefixOptions, AdvertisedRouteOptions, AdvertiseOptions, PreferenceName } from './nd/advertise-options.ts'
// What a link of one's own is made of
export {
  CSUM_MASK,
  CSUM_NONE,
  CSUM_PARTIAL,
  CSUM_VALID,
  frameMeta,
  GSO_MASK,
  GSO_NONE,
  GSO_TCP4,
  GSO_TCP6,
  GSO_UDP,
  gsoSize,
  HEADROOM,
  type Medium,
  type NetIf,
  type NetIfSink,
  Offload,
  type Place,
} from './netif/netif.ts'
export { withoutOffload } from './offload/soften.ts'
// Looking at paths
export type { TracepathStep } from './probe/tracepath.ts'
export type { TracerouteAnswer, TracerouteHop } from './probe/traceroute.ts'
// The small services
export { SERVICES, type ServiceName, type Services, type ServicesOptions, startServices } from './services/inetd.ts'
export type { ServiceStack, ServiceWatcher } from './services/service.ts'
// A stack
export { type AddressOptions, AttachedInterface, type AttachOptions, type InterfaceSummary } from './stack/attached.ts'
export type { RouterReport, RouterSummary } from './stack/autoconf.ts'
export { type CreateStackOptions, createStack } from './stack/create.ts'
export type { DhcpInterface, LeaseListener } from './stack/dhcp.ts'
export type { Dhcp6Interface, Lease6Listener } from './stack/dhcp6.ts'
export type { StackDnsServerOptions as DnsServerOptions } from './stack/dns-server.ts'
export type { ForwardingSwitch } from './stack/forwarding.ts'
export { IpCommandError } from './stack/ip-command/command.ts'
export type { PingOptions, TracepathOptions, TracerouteOptions } from './stack/leaving.ts'
export type { ConnectionSummary, NeighborSummary } from './stack/listing.ts'
// Configuration under nlinline's names
export {
  type AddressFamily,
  type AddressLike,
  AF_INET,
  AF_INET6,
  if_nametoindex,
  ipaddr_add,
  ipaddr_del,
  iproute_add,
  iproute_del,
  linkgetaddr,
  linksetaddr,
  linksetmtu,
  linksetupdown,
} from './stack/nlinline.ts'
export type {
  NextHopOptions,
  RouteFilter,
  RouteOptions,
  RouteSummary,
  RoutingRuleOptions,
  RoutingRuleSummary,
} from './stack/routing.ts'
export { Stack, type StackPlatform } from './stack/stack.ts'
export type { VlanOptions } from './stack/vlan.ts'
export { type CreateSwitchOptions, createHub, createSwitch } from './switch/create.ts'
export type { SwitchPort, SwitchPortOptions } from './switch/port.ts'
export type { PortVlanOptions } from './switch/port-vlan.ts'
export type { SpanningTree, SpanningTreeOptions, TreePortSummary } from './switch/spanning-tree.ts'
export type { LearnedAddress, Switch, SwitchOptions } from './switch/switch.ts'
// Sockets in the raw shape
export type {
  ConnectionHandler,
  ConnectionInfo,
  EcnMode,
  EcnReport,
  ListenerHandler,
  ListenerOptions,
  ListenOptions,
  OpenOptions,
  RawConnection,
  RawListener,
  RawTcp,
  SocketOptions as TcpSocketOptions, // `SocketOptions` of the entry for Node are those of `new stack.net.Socket()`
  TcpKey,
} from './tcp/api.ts'
// What a congestion control of one's own is made of
export {
  type AckSample,
  type CongestionChoice,
  type CongestionControl,
  type CongestionWindow,
  decayIdle,
  initialWindow,
} from './tcp/congestion.ts'
export { SlowStart } from './tcp/hystart.ts'
export type { RateSample } from './tcp/rate.ts'
export { type CapturedFrame, CaptureReader } from './trace/capture-reader.ts'
export { dissect } from './trace/dissect.ts'
export { type FrameMatcher, parseExpression } from './trace/expression.ts'
export { type ByteTarget, PcapngWriter } from './trace/pcapng.ts'
// Tunnels
export { type EtherTunnelOptions, etherTunnel } from './tunnel/ether-tunnel.ts'
export { clampMss, type MssLimit } from './tunnel/mss-clamp.ts'
export { Datagram } from './udp/receive-queue.ts'
export type { UdpHandler, UdpOptions, UdpSocket } from './udp/socket.ts'
// Sockets in the web's shape
export { SocketError } from './web/errors.ts'
export type { TcpListener, WebListenOptions } from './web/listener.ts'
export type { SecureConnect, SecureTransport, SocketInfo, StartTlsOptions, TcpSocket } from './web/tcp-socket.ts'
export type { GroupOptions, UdpMessage, UdpOutgoing, WebUdpOptions, WebUdpSocket } from './web/udp-socket.ts'
export type { ConnectOptions as WebConnectOptions, SocketAddress as WebSocketAddress } from './web/web-tcp.ts'
