/** Numbers of VDE: those of vdeplug4 where others must know them too, ours where not. */

/** A vxvde network (libvdeplug_vxvde.c). */
export const vxvdeDefaults = {
  /** STDPORTSTR: where multicasts go. */
  port: 14_789,
  /** STDVNI. */
  vni: 1,
  /** STDTTLSTR: hops that multicasts, and over IPv4 all datagrams, may go. */
  ttl: 1,
  /** STDHASHSIZE: places in the table of who is where. */
  hashSize: 1024,
  /** A table of ours is never larger. */
  maxHashSize: 1 << 20,
  /** STDEXPIRETIME: after so many seconds without a frame from a MAC address nobody knows where it is. */
  expireSeconds: 128,
  /** DEFADDRV4, DEFADDRV6. */
  address4: '239.0.0.1',
  address6: 'ff05:56de::1',
  /** Which addresses are this machine's is not looked up more often than this for one that is not. */
  localAddressMs: 1_000,
} as const

/** The largest IP packet of a VDE network: VDE_ETHBUFSIZE is 9216 + 14 + 4. */
export const VDE_MAX_MTU = 9216

/** A port of a switch, and a switch's control socket (libvdeplug_vde.c, libvdeplug_netnode.c, vde-2 datasock.c). */
export const vdeDefaults = {
  /** Where a switch is looked for when none is named. */
  directories: ['/var/run/vde.ctl', '/tmp/vde.ctl'],
  /** Where a data socket goes when the switch's own directory cannot be written to. */
  socketDirectories: ['/var/run', '/var/tmp', '/tmp'],
  /** Of our data socket. */
  socketMode: 0o700,
  /** STDMODE and STDDIRMODE of a switch. */
  serverMode: 0o600,
  serverDirectoryMode: 0o2700,
  /** A switch, or somebody who connects to ours, has so long to say what is expected. */
  answerMs: 5_000,
  /** How long a child vde_plug that cannot join takes to say so, at most: it ends at once, after it has loaded its modules. */
  childStartsMs: 150,
  /** Connections to one control socket of ours. */
  maxConnections: 1024,
} as const
