/** The numbers that both ways of ECN use: the field in the IP header, and the three flags of the TCP header as one number. */

/** The ECN field of the IP header (RFC 3168 section 5). */
export const Codepoint = { NOT_ECT: 0, ECT1: 1, ECT0: 2, CE: 3 } as const

/** AE CWR ECE as a number: the ACE field of RFC 9768 section 2.2. */
const ACE_SHIFT = 6

/** ACE by which the other end's SYN or SYN-ACK is answered, by its IP-ECN field (RFC 9768 table 2 and table 3). */
const REFLECTION = [2, 3, 4, 6]

export function aceOf(flags: number): number {
  return (flags >> ACE_SHIFT) & 7
}

export function aceFlags(ace: number): number {
  return ace << ACE_SHIFT
}

/** What a SYN-ACK, or the ACK of one, says of the IP-ECN field that it answers. */
export function reflection(field: number): number {
  return REFLECTION[field]
}
