/**
 * Which addresses the kernel's side of an interface has: a dump by rtnetlink(7), which needs no privilege. Node's `os.networkInterfaces` leaves
 * out interfaces that are not (yet) running, and a tap runs only some time after it was opened.
 */
import { Address, type Prefix } from '../base/address.ts'
import { get32 } from '../base/bytes.ts'
import { AF_INET, AF_INET6, AF_NETLINK, addressMessage, NETLINK_ROUTE } from './host-side.ts'
import type { Libc } from './libc.ts'
import { O_CLOEXEC, SOCK_RAW } from './libc.ts'

const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const NLM_F_REQUEST = 0x001
const NLM_F_DUMP = 0x300
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
/** Of a struct nlmsghdr, and of an attribute. */
const HEADER = 16
const ATTRIBUTE = 4
/** The kernel fills at most so much of a datagram of a dump. */
const ROOM = 32_768
/** Datagrams of one dump: thousands of addresses. */
const MAX_READS = 1024

/** True when the interface `index` has the address, with that prefix length. False also when the kernel does not say. */
export function kernelHasAddress(libc: Libc, index: number, prefix: Prefix): boolean {
  const family = prefix.address.isV4 ? AF_INET : AF_INET6
  const request = Buffer.alloc(addressMessage.span)
  const flags = NLM_F_REQUEST | NLM_F_DUMP
  addressMessage.encode(
    { length: addressMessage.span, type: RTM_GETADDR, flags, sequence: 1, port: 0, family, index: 0 },
    request,
  )
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE)
  if (fd < 0) return false
  try {
    if (libc.write(fd, request, request.length) < 0) return false
    const answer = Buffer.alloc(ROOM)
    for (let reads = 0; reads < MAX_READS; reads++) {
      const n = libc.read(fd, answer, ROOM)
      if (n < HEADER) return false
      let at = 0
      while (at + HEADER <= n) {
        const length = answer.readUInt32LE(at)
        // An error, or the end of the dump.
        if (length < HEADER || at + length > n || answer.readUInt16LE(at + 4) !== RTM_NEWADDR) return false
        if (isAddress(answer.subarray(at, at + length), index, prefix)) return true
        at += (length + 3) & ~3
      }
    }
    return false
  } finally {
    libc.close(fd)
  }
}

/** One RTM_NEWADDR. IFA_LOCAL is ours, where there is a peer; IPv6 has IFA_ADDRESS alone. */
function isAddress(message: Buffer, index: number, prefix: Prefix): boolean {
  if (message.length < addressMessage.span) return false
  const found = addressMessage.decode(message)
  if (found.index !== index || found.prefixLength !== prefix.length) return false
  const own = new Address()
  let isLocal = false
  for (let at = addressMessage.span; at + ATTRIBUTE <= message.length; ) {
    const length = message.readUInt16LE(at)
    if (length < ATTRIBUTE || at + length > message.length) return false
    const type = message.readUInt16LE(at + 2)
    if (type === IFA_LOCAL || (type === IFA_ADDRESS && !isLocal)) {
      if (length === ATTRIBUTE + 4) own.setV4(get32(message, at + ATTRIBUTE))
      else if (length === ATTRIBUTE + 16) own.read(message, at + ATTRIBUTE)
      isLocal = type === IFA_LOCAL
    }
    at += (length + 3) & ~3
  }
  return own.equals(prefix.address)
}
