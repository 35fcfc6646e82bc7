/**
 * What is said over the control socket of a VDE switch (vde-2 datasock.c, libvdeplug_vde.c).
 *
 * Theory of operation. A switch is a directory with a stream socket `ctl` in it. Who wants a port connects to that and writes one request:
 * the path of a datagram socket of its own, the port it would like, and a word about itself. The switch makes a datagram socket for the port,
 * connects it to that path, and answers with its path. From then on each datagram between the two is a frame, and the stream stays
 * open and silent: its end is the unplugging, from either side.
 *
 * Numbers are in the machine's own byte order, which is little-endian wherever the sockets of this house work (libc.ts).
 */

import * as layout from 'buffer-layout'
import { offsetsOf } from '../base/layout.ts'

const MAGIC = 0xfeedface
const VERSION = 3
/** Versions of a request: 0 and 1 stand where a request of version 1 has its type. */
const FIRST_REFUSED = 2
const AF_UNIX = 1
/** A path in a struct sockaddr_un. */
const PATH = 108
/** Longest path, with its NUL. */
export const MAX_PATH = PATH - 1
const MAX_DESCRIPTION = 128
/** A switch reads no more of a request. */
export const MAX_REQUEST = 256

/** struct sockaddr_un of Linux: also all of a switch's answer. */
export const unixAddress = layout.struct([layout.u16('family'), layout.blob(PATH, 'path')])
const UNIX = offsetsOf(unixAddress, ['family', 'path'] as const)
export const UNIX_ADDRESS = unixAddress.span

/** struct request_v3, without the description that follows. */
export const request3 = layout.struct([
  layout.u32('magic'),
  layout.u32('version'),
  layout.u32('type'),
  layout.blob(UNIX_ADDRESS, 'socket'),
])
const V3 = offsetsOf(request3, ['magic', 'version', 'type', 'socket'] as const)
/** struct request_v1. */
export const request1 = layout.struct([
  layout.u32('magic'),
  layout.u32('type'),
  layout.blob(6, 'mac'),
  layout.blob(UNIX_ADDRESS, 'socket'),
])
const V1 = offsetsOf(request1, ['socket'] as const)

/** Kinds of request: any port, or the one of the switch's management. */
const NEW_CONTROL = 0
const NEW_PORT0 = 1

/** What a request asks for. */
export interface PortRequest {
  /** Path of the asker's datagram socket. */
  readonly path: string
  /** The number asked for; 0: any; -1: port 0. */
  readonly port: number
  readonly description: string
}

/** A struct sockaddr_un; null: the path is too long for one. */
export function encodeUnixAddress(path: string): Buffer | null {
  if (Buffer.byteLength(path) > MAX_PATH) return null
  const out = Buffer.alloc(UNIX_ADDRESS)
  out.writeUInt16LE(AF_UNIX, UNIX.family)
  out.write(path, UNIX.path)
  return out
}

/** The path in a struct sockaddr_un at `at`; null: it is none, or has no path in the file system. */
export function decodeUnixAddress(buf: Buffer, at = 0): string | null {
  if (buf.length - at < UNIX_ADDRESS || buf.readUInt16LE(at + UNIX.family) !== AF_UNIX) return null
  return text(buf, at + UNIX.path, at + UNIX_ADDRESS) || null
}

/** A request of version 3. The path must fit (`encodeUnixAddress`). */
export function encodeRequest({ path, port, description }: PortRequest): Buffer {
  const head = Buffer.alloc(request3.span)
  head.writeUInt32LE(MAGIC, V3.magic)
  head.writeUInt32LE(VERSION, V3.version)
  head.writeUInt32LE(port < 0 ? NEW_PORT0 : (NEW_CONTROL | (port << 8)) >>> 0, V3.type)
  encodeUnixAddress(path)?.copy(head, V3.socket)
  return Buffer.concat([head, Buffer.from(description).subarray(0, MAX_DESCRIPTION)])
}

/** What somebody asks for; a text: why he is refused; null: more is to come. */
export function decodeRequest(buf: Buffer): PortRequest | string | null {
  if (buf.length >= 4 && buf.readUInt32LE(V3.magic) !== MAGIC) return 'not a request of VDE'
  if (buf.length < 8) return null
  const version = buf.readUInt32LE(V3.version)
  const isV3 = version === VERSION
  if (!isV3 && version >= FIRST_REFUSED) return `a request of version ${version}, known are 1 and 3`
  const span = isV3 ? request3.span : request1.span
  if (buf.length < span) return null
  const type = isV3 ? buf.readUInt32LE(V3.type) : version
  const kind = type & 0xff
  if (kind !== NEW_CONTROL && kind !== NEW_PORT0) return `a request of kind ${kind}`
  const path = decodeUnixAddress(buf, isV3 ? V3.socket : V1.socket)
  if (path === null) return 'a request without a socket to send to'
  const description = text(buf, span, Math.min(buf.length, MAX_REQUEST))
  return { path, port: kind === NEW_PORT0 ? -1 : type >>> 8, description }
}

/** Bytes up to a NUL, as text. */
function text(buf: Buffer, from: number, to: number): string {
  const nul = buf.indexOf(0, from)
  return buf.toString('utf8', from, nul < 0 || nul > to ? to : nul)
}
